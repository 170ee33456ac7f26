//! Joins with tables outside the data set.

use emrys_etl::cols;
use emrys_etl::ops::{JoinExternal, JoinKind};
use serde_json::json;

use crate::table::{batch, error, run};

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
