//! Merlin's two file formats, both TensorFlow Metadata's `Schema` message.
//!
//! [`feature`] is the message and its meaning; [`pbtxt`] and [`json`] are its two spellings.
//! What the formats lose is told on the front page of the crate.

mod extra_metadata;
mod feature;
mod json;
mod pbtxt;
mod text_format;
