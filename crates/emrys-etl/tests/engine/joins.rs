//! Joins with tables outside the data set.

use emrys_etl::ops::{JoinExternal, JoinKind};
use emrys_etl::{Workflow, cols};
use serde_json::json;

use crate::table::{batch, collect, dataset, error, json as as_json, run};

#[test]
fn the_other_table_may_be_several_files_of_any_form() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let first = write("a.csv", "movie,title\n1,Heat\n2,Alien\n");
    let second = write("b.csv", "movie,title\n7,Up\n");
    let ratings = json!({"movie": [7, 2, 3]});
    let expected = json!({"movie": [7, 2, 3], "title": ["Up", "Alien", null]});
    let join = JoinExternal::files([&first, &second], ["movie"]);
    assert_eq!(run(cols(["movie"]) >> join, &ratings), expected);
    let join = JoinExternal::files([folder.path()], ["movie"]);
    assert_eq!(run(cols(["movie"]) >> join, &ratings), expected);

    let text = "outputs = ['@n']\n\
                nodes.n = { inputs = ['movie'], op = 'JoinExternal', \
                params = { df_ext = ['a.csv', 'b.csv'], on = 'movie' } }";
    let data = dataset(&ratings);
    let read = Workflow::from_toml(text, data.schema(), folder.path()).unwrap();
    let read = Workflow::from_toml(&read.to_toml().unwrap(), data.schema(), ".").unwrap();
    let rows = collect(&read.fit(&data).unwrap(), &data);
    assert_eq!(as_json(&rows), expected);
}

#[test]
fn a_join_on_distinct_keys_keeps_the_rows() {
    let movies = batch(&json!({"movie": [1, 2], "title": ["Heat", "Alien"]}));
    let data = json!({"movie": [2, 3, 1, null], "rating": [5, 4, 3, 2]});
    let node = (cols(["movie"]) >> JoinExternal::table(movies, ["movie"])) + cols(["rating"]);
    assert_eq!(
        run(node, &data),
        json!({
            "movie": [2, 3, 1, null],
            "title": ["Alien", null, "Heat", null],
            "rating": [5, 4, 3, 2],
        })
    );
}

#[test]
fn repeated_keys_repeat_rows_in_the_order_of_the_other_table() {
    let tags = batch(&json!({"k": [1, 2, 1, null], "tag": ["p", "r", "q", "n"]}));
    let data = json!({"k": [2, 1, 3, null], "z": [0, 1, 2, 3]});
    let left = cols(["k", "z"]) >> JoinExternal::table(tags.clone(), ["k"]);
    assert_eq!(
        run(left, &data),
        json!({
            "k": [2, 1, 1, 3, null],
            "z": [0, 1, 1, 2, 3],
            "tag": ["r", "p", "q", null, null],
        })
    );
    let inner = JoinExternal::table(tags, ["k"]).with_kind(JoinKind::Inner);
    assert_eq!(
        run(cols(["k", "z"]) >> inner, &data),
        json!({"k": [2, 1, 1], "z": [0, 1, 1], "tag": ["r", "p", "q"]})
    );
}

#[test]
fn keys_of_different_kinds_are_refused() {
    let movies = batch(&json!({"movie": ["a"], "year": [1995]}));
    let node = cols(["movie"]) >> JoinExternal::table(movies, ["movie"]);
    assert_eq!(
        error(node, &json!({"movie": [1]})),
        "join_external: column `movie` is int64, but key `movie` of the other table is string; \
         cast one of the two"
    );
}

#[test]
fn a_column_of_both_tables_is_refused() {
    let movies = batch(&json!({"movie": [1], "rating": [1]}));
    let node = cols(["movie", "rating"]) >> JoinExternal::table(movies, ["movie"]);
    assert_eq!(
        error(node, &json!({"movie": [1], "rating": [5]})),
        "join_external: two columns are called `rating`; rename one of them"
    );
}
