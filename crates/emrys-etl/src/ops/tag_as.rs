//! See [`TagAs`].

use std::borrow::Cow;

use emrys_schema::{Schema, Tag};
use serde::{Deserialize, Serialize};

use super::columns::unchanged;
use crate::operator::{Example, FitResults, InputSchema, Lowered, Operator, Relation};
use crate::{Error, Result};

/// Adds tags to columns: `cols(["user_id"]) >> TagAs::USER_ID`.
///
/// # Output
/// The same columns with the same values.
/// # Schema
/// Adds the tags; compound tags are split (`USER_ID` is user and id), and older tags that exclude
/// a new one are removed.
/// # Nulls, NaN and empty input
/// Kept.
/// # Unseen values
/// Not applicable: nothing is fitted.
/// # List columns
/// Kept.
/// # Errors
/// At build: no tag is given.
/// # Example
/// ```
/// use emrys_etl::{Workflow, cols, ops::TagAs};
/// use emrys_schema::{ColumnSchema, DType, Schema, Tag};
///
/// let workflow = Workflow::new(cols(["user"]) >> TagAs::USER_ID);
/// let schema = Schema::new([ColumnSchema::new("user", DType::Int64)])?;
/// assert!(workflow.output_schema(&schema)?.get("user").unwrap().has_tag(Tag::UserId));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagAs {
    tags: Cow<'static, [Tag]>,
}

impl TagAs {
    /// Identifies a user.
    pub const USER_ID: TagAs = TagAs::constant(&[Tag::UserId]);
    /// Identifies an item.
    pub const ITEM_ID: TagAs = TagAs::constant(&[Tag::ItemId]);
    /// Identifies a session.
    pub const SESSION_ID: TagAs = TagAs::constant(&[Tag::SessionId]);
    /// Describes a user.
    pub const USER_FEATURES: TagAs = TagAs::constant(&[Tag::User]);
    /// Describes an item.
    pub const ITEM_FEATURES: TagAs = TagAs::constant(&[Tag::Item]);
    /// Describes the circumstances of an event.
    pub const CONTEXT: TagAs = TagAs::constant(&[Tag::Context]);
    /// Ids of a finite set.
    pub const CATEGORICAL: TagAs = TagAs::constant(&[Tag::Categorical]);
    /// Real numbers.
    pub const CONTINUOUS: TagAs = TagAs::constant(&[Tag::Continuous]);
    /// A label with two classes.
    pub const BINARY_TARGET: TagAs = TagAs::constant(&[Tag::BinaryClassification, Tag::Target]);
    /// A label that is a number.
    pub const REGRESSION_TARGET: TagAs = TagAs::constant(&[Tag::Regression, Tag::Target]);

    const fn constant(tags: &'static [Tag]) -> TagAs {
        TagAs {
            tags: Cow::Borrowed(tags),
        }
    }

    /// Any tags, custom ones included.
    pub fn new(tags: impl IntoIterator<Item = impl Into<Tag>>) -> TagAs {
        TagAs {
            tags: tags.into_iter().map(Into::into).collect::<Vec<_>>().into(),
        }
    }
}

impl Operator for TagAs {
    type State = ();

    fn name() -> &'static str {
        "TagAs"
    }

    fn description() -> &'static str {
        "Adds tags to columns."
    }

    fn check(&self) -> Result<()> {
        if self.tags.is_empty() {
            return Err(Error::InvalidOption {
                operator: "tag_as".to_owned(),
                option: "tags".to_owned(),
                value: "empty".to_owned(),
                expected: "at least one tag is needed".to_owned(),
            });
        }
        Ok(())
    }

    fn output_schema(&self, input: &InputSchema, _state: Option<&()>) -> Result<Schema> {
        let tagged = |column: &emrys_schema::ColumnSchema| {
            column.clone().with_tags(self.tags.iter().cloned())
        };
        Ok(Schema::new(input.columns().map(tagged))?)
    }

    fn fit(&self, _input: &InputSchema, _results: FitResults) -> Result<()> {
        Ok(())
    }

    fn lower(&self, _state: &(), input: &Relation) -> Result<Lowered> {
        unchanged(input)
    }

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "Values stay as they are.",
            config: serde_json::json!({"tags": ["user_id"]}),
            input: serde_json::json!({"user": [7, null]}),
            selection: serde_json::Value::Null,
            output: serde_json::json!({"user": [7, null]}),
        }]
    }
}
