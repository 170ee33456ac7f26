//! Graphs, operators and their options.

use emrys::etl::ops::{
    Bucketize, Categorify, Clip, FillMissing, Filter, JoinExternal, Lambda, LogOp, Normalize,
    Rename, TagAs, TargetEncoding, build,
};
use emrys::etl::{SessionOptions, Workflow, WriteOptions, cols, group};
use emrys::loader::{Loader, LoaderConfig};
use emrys::schema::{DType, Tag};
use serde_json::json;

use crate::table::{
    Outcome, batch, case, check, click_columns, clicks, dataset, doubles, fit, fitted, integers,
    longs, texts, transform, write,
};

#[test]
fn columns_and_graphs() {
    check(&[
        case(
            "an unknown column",
            |_| fit(cols(["prise"]) >> LogOp),
            "select: column `prise` is not in the input; did you mean `price`? (input: user, item, price, clicked)",
        ),
        case(
            "an unknown column that nothing is like",
            |_| fit(cols(["weight"])),
            "select: column `weight` is not in the input (input: user, item, price, clicked)",
        ),
        case(
            "a type that the operator cannot work on",
            |_| fit(cols(["user"]) >> Normalize::default()),
            "normalize: column `user` is string, but a number is needed; cast it or leave it out",
        ),
        case(
            "several errors at once",
            |_| {
                fit((cols(["user"]) >> LogOp)
                    + (cols(["prise"]) >> Clip::between(0, 1))
                    + (cols(["price"]) >> Clip::between(2, 1)))
            },
            "3 errors in the workflow:\n- log_op: column `user` is string, but a number is needed; cast it or leave it out\n- select: column `prise` is not in the input; did you mean `price`? (input: user, item, price, clicked)\n- clip: `min_value` is 2, but it must not exceed max_value, which is 1",
        ),
        case(
            "rows of different operators side by side",
            |_| fit(cols(["user"]) + (cols(["price"]) >> Filter::new("price > 1"))),
            "sum of nodes: `user` has the rows of the data set, but `price` has the rows of filter (node 2); let both come from the same operator",
        ),
        case(
            "two outputs of one name",
            |_| fit(cols(["price"]) + (cols(["price"]) >> LogOp)),
            "sum of nodes: two columns are called `price`; rename one of them",
        ),
        case(
            "a part of the graph that is not there",
            |_| {
                fitted((cols(["price"]) >> LogOp).named("prices"))?.subgraph_schema("price")?;
                Ok(())
            },
            "workflow: `subgraph` is `price`, but the graph has: prices",
        ),
        case(
            "a subset that is not there",
            |_| fit((cols(["price"]) >> LogOp).subset(["prise"])),
            "subset: column `prise` is not in the input; did you mean `price`? (input: price)",
        ),
    ]);
}

#[test]
fn options_of_operators() {
    check(&[
        case(
            "clip: bounds the wrong way round",
            |_| fit(cols(["price"]) >> Clip::between(2, 1)),
            "clip: `min_value` is 2, but it must not exceed max_value, which is 1",
        ),
        case(
            "clip: no bounds",
            |_| fit(cols(["price"]).apply(build("Clip", json!({}))?)),
            "clip: `min_value` is not given, but a bound is needed; set one of min_value and max_value",
        ),
        case(
            "clip: a fraction for integers",
            |_| fit(cols(["item"]) >> Clip::between(0.5, 3)),
            "clip: `min_value` is 0.5, but column `item` is int64 and cannot hold it",
        ),
        case(
            "bucketize: no boundaries",
            |_| fit(cols(["price"]) >> Bucketize::new([])),
            "bucketize: `boundaries` is empty, but at least one boundary is needed",
        ),
        case(
            "bucketize: boundaries that fall",
            |_| fit(cols(["price"]) >> Bucketize::new([40.0, 35.0])),
            "bucketize: boundaries must increase, got 35 after 40; sort them or remove duplicates",
        ),
        case(
            "bucketize: none for a column",
            |_| fit(cols(["price"]) >> Bucketize::per_column([("item", vec![1.0])])),
            "bucketize: `boundaries` is given by column, but there are none for `price`",
        ),
        case(
            "rename: one name for two columns",
            |_| fit(cols(["price", "item"]) >> Rename::to("x")),
            "rename: `name` is `x`, but there are 2 columns (price, item); use a postfix or an expression",
        ),
        case(
            "rename: no expression",
            |_| fit(cols(["price"]) >> Rename::expr("upper(name")),
            "rename: `expr` is `upper(name`, but that is no valid expression: Expected: ), found: EOF",
        ),
        case(
            "rename: two columns become one",
            |_| fit(cols(["price", "item"]) >> Rename::expr("left(name, 0) || 'x'")),
            "rename: column `x` occurs twice; rename one of the two",
        ),
        case(
            "fill_missing: a text for numbers",
            |_| fit(cols(["price"]) >> FillMissing::with("none")),
            "fill_missing: `fill_val` is `none`, but column `price` is float64",
        ),
        case(
            "normalize: integers as a result",
            |_| fit(cols(["price"]) >> Normalize::default().with_dtype(DType::Int32)),
            "normalize: `out_dtype` is int32, but it must be float32 or float64",
        ),
        case(
            "tag_as: no tags",
            |_| fit(cols(["price"]) >> TagAs::new(Vec::<Tag>::new())),
            "tag_as: `tags` is empty, but at least one tag is needed",
        ),
        case(
            "threads: none",
            |_| {
                Workflow::new(cols(["price"]) >> LogOp)
                    .with_options(SessionOptions::new().with_threads(0))
                    .fit(&clicks())?;
                Ok(())
            },
            "session: `threads` is 0, but at least 1 is needed; leave it out for the default",
        ),
        case(
            "an option that does not exist",
            |_| {
                build("Clip", json!({"minimum": 1}))
                    .map(|_| ())
                    .map_err(Into::into)
            },
            "operator `Clip`: unknown field `minimum`, expected `min_value` or `max_value`",
        ),
    ]);
}

#[test]
fn categorify_and_target_encoding() {
    check(&[
        case(
            "categorify: a column that is not there",
            |_| fit(cols(["usr"]) >> Categorify::new()),
            "select: column `usr` is not in the input; did you mean `user`? (input: user, item, price, clicked)",
        ),
        case(
            "categorify: no room for a vocabulary",
            |_| fit(cols(["user"]) >> Categorify::new().with_max_size(2)),
            "categorify: `max_size` is 2, but `user` needs at least 3 ids: padding, null and 1 for unseen values; raise it, or lower num_buckets",
        ),
        case(
            "categorify: a vocabulary file that is not there",
            |dir| {
                fit(cols(["user"])
                    >> Categorify::new().with_vocabulary_file("user", dir.join("users.parquet")))
            },
            "categorify (node 1): read `[dir]/users.parquet`: No such file or directory (os error 2)",
        ),
        case(
            "categorify: columns of one vocabulary with different types",
            |_| fit(group(["user", "item"]) >> Categorify::new()),
            "categorify: column `item` is int64, but it shares a vocabulary with `user`, which holds strings; cast one of them",
        ),
        case(
            "target_encoding: no folds",
            |_| fit(cols(["user"]) >> TargetEncoding::new("clicked").with_kfold(0)),
            "target_encoding: `kfold` is 0, but it must lie between 1 and 255",
        ),
        case(
            "target_encoding: negative smoothing",
            |_| fit(cols(["user"]) >> TargetEncoding::new("clicked").with_p_smooth(-1.0)),
            "target_encoding: `p_smooth` is -1, but it must not be negative",
        ),
        case(
            "target_encoding: a target that is not there",
            |_| fit(cols(["user"]) >> TargetEncoding::new("click")),
            "target_encoding: column `click` is not in the input; did you mean `clicked`? (input: user, item, price, clicked)",
        ),
        case(
            "target_encoding: a target of text",
            |_| fit(cols(["item"]) >> TargetEncoding::new("user")),
            "target_encoding: column `user` is string, but a number is needed; cast it or leave it out",
        ),
        case(
            "target_encoding: names for other outputs",
            |_| fit(cols(["user"]) >> TargetEncoding::new("clicked").with_names(["a", "b"])),
            "target_encoding: `out_col` is 2 names, but there are 1 outputs, one per group and target",
        ),
        case(
            "target_encoding: a target without values",
            |_| {
                let data = dataset(vec![
                    ("user", texts(["a", "b"])),
                    ("clicked", doubles([None, None])),
                ]);
                Workflow::new(cols(["user"]) >> TargetEncoding::new("clicked")).fit(&data)?;
                Ok(())
            },
            "target_encoding (node 1): no row has a value of the target `clicked`",
        ),
    ]);
}

#[test]
fn expressions() {
    check(&[
        case(
            "filter: no SQL",
            |_| fit(cols(["price"]) >> Filter::new("price >")),
            "filter: `expr` is `price >`, but that is no valid expression: Expected: an expression, found: EOF",
        ),
        case(
            "filter: no condition",
            |_| fit(cols(["price"]) >> Filter::new("price + 1")),
            "filter: `expr` is `price + 1`, but its values are float64; write a condition, which is true or false",
        ),
        case(
            "filter: a column that is not there",
            |_| fit(cols(["price"]) >> Filter::new("prise > 1")),
            "filter: column `prise` is not in the input; did you mean `price`? (input: user, item, price, clicked)",
        ),
        case(
            "filter: a text beside a number",
            |_| transform(cols(["price"]) >> Filter::new("price > 'much'")),
            "transforming: Cannot cast string 'much' to value of Float64 type; use `try_cast` in the expression, which gives null",
        ),
        case(
            "lambda: no SQL",
            |_| fit(cols(["price"]) >> Lambda::new("price * (")),
            "lambda: `expr` is `price * (`, but that is no valid expression: Expected: an expression, found: EOF",
        ),
        case(
            "lambda: a statement",
            |_| fit(cols(["price"]) >> Lambda::new("select 1")),
            "lambda: `expr` is `select 1`, but that is no valid expression: Expected: EOF, found: 1 at Line: 1, Column: 8",
        ),
        case(
            "lambda: a function that is not there",
            |_| fit(cols(["price"]) >> Lambda::new("squareroot(price)")),
            "lambda: `expr` is `squareroot(price)`, but that is no valid expression: Invalid function 'squareroot'",
        ),
        case(
            "lambda: an aggregate",
            |_| fit(cols(["price"]) >> Lambda::new("sum(price)")),
            "lambda: `expr` is `sum(price)`, but that is no valid expression: `sum` looks at many rows, an expression at one; operators such as Normalize and TargetEncoding learn from all rows",
        ),
        case(
            "lambda: a column that is not there",
            |_| fit(cols(["price"]) >> Lambda::new("col + prise")),
            "lambda: column `col` is not in the input (input: user, item, price, clicked)",
        ),
        case(
            "lambda: a value that cannot be cast",
            |_| transform(cols(["user"]) >> Lambda::new("cast(user as int)")),
            "transforming: Cannot cast string 'ada' to value of Int32 type; use `try_cast` in the expression, which gives null",
        ),
        case(
            "lambda: what the messages before and after advise",
            |_| {
                transform(cols(["user"]) >> Lambda::new("try_cast(user as int)"))?;
                transform(cols(["item"]) >> Lambda::new("item / nullif(item - 10, 0)"))
            },
            "no error",
        ),
        case(
            "lambda: division by zero",
            |_| transform(cols(["item"]) >> Lambda::new("item / (item - 10)")),
            "transforming: an expression divides by zero; divide by `nullif(x, 0)`, which gives null",
        ),
    ]);
}

fn join(dir: &std::path::Path, columns: Vec<(&str, arrow::array::ArrayRef)>, on: &str) -> Outcome {
    let path = write(dir.join("items.parquet"), columns);
    fit(cols(["item", "price"]) >> JoinExternal::parquet(path, [on]))
}

#[test]
fn joins() {
    check(&[
        case(
            "a file that is not there",
            |dir| fit(cols(["item"]) >> JoinExternal::parquet(dir.join("items.parquet"), ["item"])),
            "read `[dir]/items.parquet`: there is no such file or folder",
        ),
        case(
            "a file that is no parquet",
            |dir| {
                std::fs::write(dir.join("items.parquet"), "item,brand\n10,acme\n")?;
                fit(cols(["item"]) >> JoinExternal::parquet(dir.join("items.parquet"), ["item"]))
            },
            "read `[dir]/items.parquet`: it is not a parquet file, or it is cut off (its last bytes are not `PAR1`)",
        ),
        case(
            "a key that the other table lacks",
            |dir| join(dir, vec![("id", longs([10]))], "item"),
            "join_external, the other table: column `item` is not in the input (input: id)",
        ),
        case(
            "a key that the input lacks",
            |dir| join(dir, vec![("brand", longs([10]))], "brand"),
            "join_external: column `brand` is not in the input (input: user, item, price, clicked)",
        ),
        case(
            "keys of different types",
            |dir| {
                join(
                    dir,
                    vec![("item", texts(["10"])), ("brand", texts(["acme"]))],
                    "item",
                )
            },
            "join_external: column `item` is int64, but key `item` of the other table is string; cast one of the two",
        ),
        case(
            "a column of both tables",
            |dir| {
                join(
                    dir,
                    vec![("item", longs([10])), ("price", longs([1]))],
                    "item",
                )
            },
            "join_external: two columns are called `price`; rename one of them",
        ),
        case(
            "no keys",
            |_| {
                fit(cols(["item"])
                    >> JoinExternal::table(
                        batch(vec![("item", longs([10]))]),
                        Vec::<String>::new(),
                    ))
            },
            "join_external: `on` is 0 keys, but the other table has 0; give both tables the same number, at least one",
        ),
        case(
            "a column that the other table lacks",
            |_| {
                let items = batch(vec![("item", longs([10])), ("brand", texts(["acme"]))]);
                fit(cols(["item"]) >> JoinExternal::table(items, ["item"]).with_columns(["brnd"]))
            },
            "join_external, the other table: column `brnd` is not in the input; did you mean `brand`? (input: item, brand)",
        ),
    ]);
}

#[test]
fn data_that_do_not_fit() {
    check(&[
        case(
            "no rows after a filter: columns of no rows, which the loader refuses",
            |dir| {
                let prices = cols(["price"]) >> Filter::new("price > 1000") >> Normalize::default();
                let written = fitted(prices)?
                    .transform(&clicks())?
                    .write(dir.join("out"), &WriteOptions::new())?;
                assert_eq!(written.rows, 0);
                Loader::open(dir.join("out"), LoaderConfig::new(2))?;
                Ok(())
            },
            "the data set has no rows (1 files); was everything filtered out?",
        ),
        case(
            "a data set without rows",
            |_| {
                let data = dataset(vec![("user", texts([])), ("price", doubles([]))]);
                let features = (cols(["user"]) >> Categorify::new())
                    + (cols(["price"]) >> Normalize::default());
                let rows = Workflow::new(features)
                    .fit(&data)?
                    .transform(&data)?
                    .collect()?;
                assert_eq!(
                    rows.iter()
                        .map(arrow::array::RecordBatch::num_rows)
                        .sum::<usize>(),
                    0
                );
                Ok(())
            },
            "no error",
        ),
        case(
            "target_encoding: no rows",
            |_| {
                let data = dataset(vec![("user", texts([])), ("clicked", integers([]))]);
                Workflow::new(cols(["user"]) >> TargetEncoding::new("clicked")).fit(&data)?;
                Ok(())
            },
            "target_encoding (node 1): no row has a value of the target `clicked`",
        ),
        case(
            "a column that only the training data have",
            |_| {
                let workflow = fitted(cols(["user"]) >> Categorify::new())?;
                workflow
                    .transform(&dataset(vec![("usr", texts(["ada"]))]))?
                    .collect()?;
                Ok(())
            },
            "transform: column `user` is not in the input; did you mean `usr`? (input: usr)",
        ),
        case(
            "a column of another type than in training",
            |_| {
                let workflow = fitted(cols(["price"]) >> Normalize::default())?;
                workflow
                    .transform(&dataset(vec![("price", texts(["cheap"]))]))?
                    .collect()?;
                Ok(())
            },
            "transform: column `price` is string, but it was float64 when the workflow was fitted; cast it",
        ),
        case(
            "text where categorify learnt numbers",
            |_| {
                let workflow = fitted(cols(["item"]) >> Categorify::new())?;
                workflow
                    .transform(&dataset(vec![("item", texts(["ten"]))]))?
                    .collect()?;
                Ok(())
            },
            "transform: column `item` is string, but it was int64 when the workflow was fitted; cast it",
        ),
        case(
            "two columns of one name in the data",
            |_| {
                let mut columns = click_columns();
                columns.push(("item", longs([1, 2, 3, 4])));
                let data = batch(columns);
                emrys::etl::Dataset::from_batches(data.schema(), vec![data])?;
                Ok(())
            },
            "column `item` occurs twice; rename one of the two",
        ),
    ]);
}
