//! Texts to ids.

use emrys_etl::ops::{Categorify, ListSlice, PadSide, TextVocabulary, TokenizeText};
use emrys_etl::{FittedWorkflow, Workflow, cols};
use emrys_schema::Tag;
use serde_json::json;

use crate::table::{batch, collect, dataset, error, fit_parts, json as table, run};

#[test]
fn words_become_ids_by_frequency() {
    let data = json!({"title": ["The cat", "the dog, the cat!", null, ""]});
    let words = cols(["title"]) >> TokenizeText::words() >> Categorify::default();
    // `the` is 3, `cat` 4 and `dog` 5.
    assert_eq!(
        run(words, &data),
        json!({"title": [[3, 4], [3, 5, 3, 4], null, []]})
    );
}

#[test]
fn a_vocabulary_is_limited_and_texts_are_of_one_length() {
    let train = dataset(&json!({"title": ["a a a b b c", "a b"]}));
    let node = cols(["title"])
        >> TokenizeText::whitespace()
        >> Categorify::default().with_max_size(5)
        >> ListSlice::last(3)
            .with_padding(0)
            .with_pad_side(PadSide::Left);
    let fitted = Workflow::new(node).fit(&train).unwrap();
    let title = fitted.output_schema().get("title").unwrap().clone();
    assert_eq!(
        (title.cardinality(), title.shape().to_string()),
        (Some(5), "[3]".to_owned())
    );
    assert!(title.has_tag(Tag::TextTokenized) && title.has_tag(Tag::Categorical));
    let rows = collect(&fitted, &dataset(&json!({"title": ["b c x", "a"]})));
    let lists = arrow::array::AsArray::as_fixed_size_list(rows.column(0));
    let ids: &arrow::array::Int64Array = arrow::array::AsArray::as_primitive(lists.values());
    // Unknown words are 2.
    assert_eq!(ids.values(), &[4, 2, 2, 0, 0, 3]);
}

#[test]
fn patterns_are_matched_with_the_text_in_lower_case() {
    let data = json!({"x": ["OneANDtwo AND three", null]});
    let node = cols(["x"]) >> TokenizeText::pattern(r"\s*and\s*");
    assert_eq!(
        run(node, &data),
        json!({"x": [["one", "two", "three"], null]})
    );
}

#[test]
fn only_texts_are_split() {
    let data = json!({"n": [1], "l": [["a"]]});
    assert_eq!(
        error(cols(["n"]) >> TokenizeText::words(), &data),
        "tokenize_text: column `n` is int64, but a text is needed; cast it or leave it out"
    );
    assert_eq!(
        error(cols(["l"]) >> TokenizeText::words(), &data),
        "tokenize_text: column `l` is string[0..], but a single value per row is needed; leave it out"
    );
}

#[test]
fn vocabularies_with_limits_and_special_tokens_are_saved_and_do_not_depend_on_partitions() {
    let data = batch(&json!({
        "title": ["the cat sat", "the dog sat the", null, "the end", "", "dog the end"],
    }));
    let vocabulary = TextVocabulary::default()
        .with_min_df(2)
        .with_max_df(0.7)
        .with_special_tokens(["[MASK]"])
        .with_start_token("[CLS]")
        .with_max_size(7);
    let node = cols(["title"]) >> TokenizeText::words() >> vocabulary;
    // 3 is [MASK], 4 [CLS]; of five texts, `dog`, `end` and `sat` stand in two, `the` in four.
    let expected = json!({
        "title": [[4, 2, 2, 2], [4, 2, 5, 2, 2], null, [4, 2, 6], [4], [4, 5, 2, 6]],
    });
    let folder = tempfile::tempdir().unwrap();
    for rows in 1..=6 {
        let (fitted, data) = fit_parts(&node, &data, rows, 3);
        assert_eq!(
            table(&collect(&fitted, &data)),
            expected,
            "{rows} rows per part"
        );
        let title = fitted.output_schema().get("title").unwrap();
        assert_eq!(title.cardinality(), Some(7));
        let path = folder.path().join(rows.to_string());
        fitted.save(&path).unwrap();
        let loaded = FittedWorkflow::load(&path).unwrap();
        assert_eq!(loaded.output_schema(), fitted.output_schema());
        assert_eq!(table(&collect(&loaded, &data)), expected);
    }
}

#[test]
fn vocabularies_are_of_lists_of_strings() {
    assert_eq!(
        error(
            cols(["x"]) >> TextVocabulary::default(),
            &json!({"x": [[1]]})
        ),
        "text_vocabulary: column `x` is int64[0..], but a list of strings is needed; cast it or \
         leave it out"
    );
    assert_eq!(
        error(
            cols(["x"]) >> TextVocabulary::default(),
            &json!({"x": ["a"]})
        ),
        "text_vocabulary: column `x` is string, but a list is needed; leave it out"
    );
}
