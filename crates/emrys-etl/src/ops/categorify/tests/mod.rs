mod files;
mod operator;
mod pandas;
mod vocabulary;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};

fn array(values: impl Array + 'static) -> ArrayRef {
    Arc::new(values)
}

fn strings<'a>(values: impl IntoIterator<Item = impl Into<Option<&'a str>>>) -> ArrayRef {
    array(values.into_iter().map(Into::into).collect::<StringArray>())
}

/// One string per character; `-` is null.
fn letters(text: &str) -> ArrayRef {
    let values = text
        .char_indices()
        .map(|(at, c)| &text[at..at + c.len_utf8()]);
    strings(values.map(|value| (value != "-").then_some(value)))
}
