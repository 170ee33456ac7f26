//! The life of a [`TextVocabulary`]: counts, ids, schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_nested::expr_fn::array_distinct;
use datafusion::logical_expr::{cast, lit};
use emrys_schema::{DType, Dim, Domain, EmbeddingSize, Schema, Shape, Tag};

use super::encode::ids_of;
use super::words::{ColumnWords, Words, read_counts};
use super::{FIRST_ID, TextVocabulary};
use crate::operator::{
    Example, FitResults, GroupedStatistic, InputSchema, Lowered, NewIds, Operator, Relation,
    Source, Statistic,
};
use crate::ops::EmbeddingRule;
use crate::ops::columns::require_list;
use crate::{Error, Result};

fn texts_of(column: &str) -> String {
    format!("texts of {column}")
}

impl TextVocabulary {
    /// The words of each column, given those that are known already.
    fn learn(
        &self,
        input: &InputSchema,
        mut results: FitResults,
        known: Option<&Words>,
        ids: NewIds,
    ) -> Result<Words> {
        let mut columns = BTreeMap::new();
        for column in input.columns() {
            let name = column.name();
            let counted = read_counts(&results.take_grouped(name)?.into_batches()?)?;
            let texts = results.number(&texts_of(name))?.unwrap_or(0.0) as u64;
            let before = known.and_then(|words| words.columns.get(name));
            let words = match before {
                None => ColumnWords::new(self, texts, counted, &[])?,
                Some(before) => {
                    let (texts, counted) = before.merge(texts, counted);
                    let tokens = match ids {
                        NewIds::Append => before.tokens(),
                        NewIds::ByCount => &[],
                    };
                    ColumnWords::new(self, texts, counted, tokens)?
                }
            };
            columns.insert(name.to_owned(), Arc::new(words));
        }
        Ok(Words { columns })
    }
}

impl Operator for TextVocabulary {
    type State = Words;

    fn name() -> &'static str {
        "TextVocabulary"
    }

    fn description() -> &'static str {
        "Maps the tokens of texts to ids."
    }

    fn check(&self) -> Result<()> {
        self.check_options()
    }

    fn output_schema(&self, input: &InputSchema, state: Option<&Words>) -> Result<Schema> {
        let columns = input.columns().map(|column| {
            require_list(input, column)?;
            input.require(column, "a list of strings", |dtype| dtype == DType::String)?;
            let texts = match column.shape().dims() {
                [texts] => *texts,
                // Without types there is no shape yet either.
                [] => Dim::ANY,
                _ => {
                    return Err(Error::UnsupportedType {
                        operator: input.operator().to_owned(),
                        column: column.name().to_owned(),
                        found: format!("{}{}", column.dtype(), column.shape()),
                        expected: "a list of strings is needed; leave it out".to_owned(),
                    });
                }
            };
            let added = self.added();
            let dim = Dim {
                min: texts.min + added,
                max: texts.max.map(|max| max + added),
            };
            let words = state.and_then(|state| state.columns.get(column.name()));
            let tokens = words.map_or(self.specials().len(), |words| words.tokens().len());
            let cardinality = u64::from(FIRST_ID) + tokens as u64;
            let greatest = i64::try_from(cardinality - 1).unwrap_or(i64::MAX);
            Ok(column
                .clone()
                .with_dtype(DType::Int64)
                .with_shape(Shape::new([dim]))
                .with_tags([Tag::Categorical])
                .with_domain(Domain::int(0, greatest).named(column.name()))
                .with_embedding_size(EmbeddingSize {
                    cardinality,
                    dimension: EmbeddingRule::default().dimension(cardinality),
                }))
        });
        Ok(Schema::new(columns.collect::<Result<Vec<_>>>()?)?)
    }

    fn statistics(&self, input: &Relation) -> Result<Vec<Statistic>> {
        let strings = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let mut statistics = Vec::new();
        for column in input.columns() {
            let name = column.name().to_owned();
            let texts = input.expr(&name)?;
            // A token counts once in each text.
            let tokens = array_distinct(cast(texts.clone(), strings.clone()));
            statistics.push(Statistic::Aggregate {
                name: texts_of(&name),
                expr: count(texts),
            });
            statistics.push(Statistic::Grouped(GroupedStatistic {
                sources: vec![Source {
                    columns: vec![("token".to_owned(), tokens)],
                    flatten: Some("token".to_owned()),
                }],
                keys: vec!["token".to_owned()],
                aggregates: vec![("texts".to_owned(), count(lit(1i64)))],
                name,
            }));
        }
        Ok(statistics)
    }

    fn fit(&self, input: &InputSchema, results: FitResults) -> Result<Words> {
        self.learn(input, results, None, NewIds::ByCount)
    }

    fn refit(
        &self,
        state: &Words,
        input: &InputSchema,
        results: FitResults,
        ids: NewIds,
    ) -> Result<Words> {
        self.learn(input, results, Some(state), ids)
    }

    fn lower(&self, state: &Words, input: &Relation) -> Result<Lowered> {
        let start = self.id_of_special(self.start_token.as_ref());
        let end = self.id_of_special(self.end_token.as_ref());
        let columns = input.columns().map(|column| {
            let name = column.name();
            let words = state.columns.get(name).ok_or_else(|| Error::Data {
                operator: "text_vocabulary".to_owned(),
                problem: format!("it was not fitted on `{name}`; fit the workflow again"),
            })?;
            Ok((
                name.to_owned(),
                ids_of(input.expr(name)?, name, words, start, end),
            ))
        });
        Ok(Lowered::Columns(columns.collect::<Result<_>>()?))
    }

    fn examples() -> Vec<Example> {
        let input = serde_json::json!({"title": [["the", "cat"], ["the", "dog", "the"], [], null]});
        vec![
            Example {
                title: "The word of most texts comes first, after the reserved ids.",
                config: serde_json::json!({}),
                input: input.clone(),
                selection: serde_json::Value::Null,
                output: serde_json::json!({"title": [[3, 4], [3, 5, 3], [], null]}),
            },
            Example {
                title: "Start and end of a text, and words of at least two texts.",
                config: serde_json::json!({"min_df": 2, "start_token": "<s>", "end_token": "</s>"}),
                input,
                selection: serde_json::Value::Null,
                output: serde_json::json!({"title": [[3, 5, 2, 4], [3, 5, 2, 5, 4], [3, 4], null]}),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use datafusion::scalar::ScalarValue;
    use emrys_schema::ColumnSchema;

    use super::*;
    use crate::operator::GroupedRows;

    fn input() -> InputSchema {
        let column = ColumnSchema::new("x", DType::String).with_shape(Shape::ragged(0, None));
        let schema = Schema::new([column]).unwrap();
        InputSchema::new(
            "text_vocabulary".to_owned(),
            Vec::new(),
            schema,
            Schema::default(),
        )
    }

    fn results(texts: i64, counts: &[(&str, i64)]) -> FitResults {
        let tokens: ArrayRef = Arc::new(StringArray::from_iter_values(
            counts.iter().map(|(token, _)| *token),
        ));
        let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(
            counts.iter().map(|(_, count)| *count),
        ));
        let batch = RecordBatch::try_from_iter([("token", tokens), ("texts", counts)]).unwrap();
        let mut results = FitResults::default();
        let rows = GroupedRows::from_batches(batch.schema(), vec![batch]);
        results.grouped.insert("x".to_owned(), rows);
        results
            .aggregates
            .insert(texts_of("x"), ScalarValue::Int64(Some(texts)));
        results
    }

    fn tokens(words: &Words) -> Vec<&str> {
        words.columns["x"]
            .tokens()
            .iter()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn limits_are_counts_or_shares_of_texts() {
        let counts = [("the", 10), ("cat", 4), ("dog", 4), ("sat", 1)];
        let fit = |operator: TextVocabulary| operator.fit(&input(), results(10, &counts)).unwrap();
        let all = TextVocabulary::default();
        assert_eq!(tokens(&fit(all.clone())), ["the", "cat", "dog", "sat"]);
        let rare = fit(all.clone().with_min_df(0.2).with_max_df(0.9));
        assert_eq!(tokens(&rare), ["cat", "dog"]);
        assert_eq!(tokens(&fit(all.clone().with_min_df(5))), ["the"]);
        let few = fit(all.with_special_tokens(["[MASK]", "cat"]).with_max_size(6));
        assert_eq!(tokens(&few), ["[MASK]", "cat", "the"]);
    }

    #[test]
    fn more_data_give_what_a_fit_on_all_gives_or_keep_the_ids() {
        let operator = TextVocabulary::default()
            .with_min_df(2)
            .with_end_token("</s>");
        let first = operator
            .fit(&input(), results(3, &[("a", 3), ("b", 1), ("c", 2)]))
            .unwrap();
        assert_eq!(tokens(&first), ["</s>", "a", "c"]);
        let more = || results(4, &[("b", 4), ("d", 2), ("c", 1)]);
        let anew = operator
            .refit(&first, &input(), more(), NewIds::ByCount)
            .unwrap();
        assert_eq!(tokens(&anew), ["</s>", "b", "a", "c", "d"]);
        let appended = operator
            .refit(&first, &input(), more(), NewIds::Append)
            .unwrap();
        assert_eq!(tokens(&appended), ["</s>", "a", "c", "b", "d"]);
    }

    #[test]
    fn senseless_options_are_told() {
        let error = |operator: TextVocabulary| operator.check().unwrap_err().to_string();
        assert_eq!(
            error(TextVocabulary::default().with_max_df(1.5)),
            "text_vocabulary: `max_df` is 1.5, but a share of all texts lies between 0 and 1; whole \
             numbers count texts"
        );
        assert_eq!(
            error(TextVocabulary::default().with_special_tokens(["a", "a"])),
            "text_vocabulary: `special_tokens` is `a` twice, but each token has one id; remove one"
        );
        assert_eq!(
            error(
                TextVocabulary::default()
                    .with_end_token("e")
                    .with_max_size(3)
            ),
            "text_vocabulary: `max_size` is 3, but 4 ids are reserved for padding, missing, unknown \
             and special tokens"
        );
    }
}
