//! Which columns share which vocabulary, and which options hold for it.

use emrys_schema::DType;

use super::build::Limit;
use super::vocabulary::{FIRST_UNSEEN_ID, Layout};
use super::{Categorify, EncodeType, PerColumn};
use crate::operator::InputSchema;
use crate::selector::Selected;
use crate::{Error, Result};

/// A vocabulary that the operator makes or is given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct VocabularyPlan {
    pub(super) layout: Layout,
    /// The columns whose values it numbers: one list of members for each column or tuple.
    pub(super) sources: Vec<Vec<String>>,
    /// The options as the schema shows them; zero and `None` where they are not set.
    pub(super) freq_threshold: u64,
    pub(super) max_size: u64,
    pub(super) num_buckets: Option<u32>,
}

impl VocabularyPlan {
    pub(super) fn limit(&self) -> Limit {
        if self.max_size == 0 {
            return Limit::MinCount(self.freq_threshold);
        }
        let reserved = u64::from(FIRST_UNSEEN_ID) + u64::from(self.layout.num_buckets);
        let room = self.max_size.saturating_sub(reserved);
        Limit::MostFrequent(usize::try_from(room).unwrap_or(usize::MAX))
    }
}

/// An output column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) name: String,
    /// The column it encodes, or the members of a tuple.
    pub(super) inputs: Vec<String>,
    /// The position of its vocabulary.
    pub(super) vocabulary: usize,
}

/// Everything that the configuration and the selection decide.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) vocabularies: Vec<VocabularyPlan>,
    pub(super) outputs: Vec<Output>,
}

impl Plan {
    pub(super) fn new(config: &Categorify, input: &InputSchema) -> Result<Plan> {
        let mut plan = Plan {
            vocabularies: Vec::new(),
            outputs: Vec::new(),
        };
        for selected in input.selected() {
            plan.add(config, input, selected)?;
        }
        plan.check_names(config, input)?;
        if config.single_table {
            let most = plan
                .vocabularies
                .iter()
                .map(|vocabulary| vocabulary.layout.num_buckets)
                .max();
            for vocabulary in &mut plan.vocabularies {
                vocabulary.layout.num_buckets = most.unwrap_or(1);
            }
        }
        plan.vocabularies
            .iter()
            .try_for_each(|vocabulary| check_room(input, vocabulary))?;
        Ok(plan)
    }

    fn add(&mut self, config: &Categorify, input: &InputSchema, selected: &Selected) -> Result<()> {
        let members = selected.columns();
        let name = selected.joined(&config.name_sep);
        let is_tuple = config.encode_type == EncodeType::Combo && members.len() > 1;
        let vocabulary = self.vocabularies.len();
        let (columns, sources) = if is_tuple {
            check_tuple(config, input, members, &name)?;
            self.outputs.push(Output {
                name: name.clone(),
                inputs: members.to_vec(),
                vocabulary,
            });
            (members.to_vec(), vec![members.to_vec()])
        } else {
            check_shared_type(input, members)?;
            let sources: Vec<_> = members.iter().map(|member| vec![member.clone()]).collect();
            for inputs in sources.clone() {
                self.outputs.push(Output {
                    name: inputs[0].clone(),
                    inputs,
                    vocabulary,
                });
            }
            (vec![name.clone()], sources)
        };
        let num_buckets = match &config.num_buckets {
            Some(option) => option_of(input, "num_buckets", option, &name, members)?,
            None => None,
        };
        let freq_threshold = option_of(
            input,
            "freq_threshold",
            &config.freq_threshold,
            &name,
            members,
        )?;
        let max_size = option_of(input, "max_size", &config.max_size, &name, members)?;
        self.vocabularies.push(VocabularyPlan {
            layout: Layout {
                name,
                columns,
                num_buckets: num_buckets.unwrap_or(1),
            },
            sources,
            freq_threshold: freq_threshold.unwrap_or(0),
            max_size: max_size.unwrap_or(0),
            num_buckets,
        });
        Ok(())
    }

    /// Outputs differ in name, and options name columns that there are.
    fn check_names(&self, config: &Categorify, input: &InputSchema) -> Result<()> {
        for (at, output) in self.outputs.iter().enumerate() {
            if self.outputs[..at]
                .iter()
                .any(|other| other.name == output.name)
            {
                return Err(Error::DuplicateColumn {
                    operator: input.operator().to_owned(),
                    column: output.name.clone(),
                });
            }
        }
        let vocabularies: Vec<&str> = self
            .vocabularies
            .iter()
            .map(|vocabulary| vocabulary.layout.name.as_str())
            .collect();
        let mut known = input.schema().names();
        known.extend(
            vocabularies
                .iter()
                .filter(|name| input.schema().get(name).is_none()),
        );
        // A vocabulary is given for a whole group; other options may be given for a member.
        let unknown = config
            .vocabs
            .keys()
            .find(|name| !vocabularies.contains(&name.as_str()))
            .map(|name| (name.as_str(), &vocabularies))
            .or_else(|| {
                let mut named = config.named_columns().into_iter();
                named
                    .find(|name| !known.contains(name))
                    .map(|name| (name, &known))
            });
        match unknown {
            Some((name, available)) => Err(Error::UnknownColumn {
                operator: input.operator().to_owned(),
                column: name.to_owned(),
                available: available.iter().map(|name| (*name).to_owned()).collect(),
            }),
            None => Ok(()),
        }
    }
}

fn check_room(input: &InputSchema, vocabulary: &VocabularyPlan) -> Result<()> {
    let needed = u64::from(FIRST_UNSEEN_ID) + u64::from(vocabulary.layout.num_buckets);
    if vocabulary.max_size == 0 || vocabulary.max_size >= needed {
        return Ok(());
    }
    Err(Error::InvalidOption {
        operator: input.operator().to_owned(),
        option: "max_size".to_owned(),
        value: vocabulary.max_size.to_string(),
        expected: format!(
            "`{}` needs at least {needed} ids: padding, null and {} for unseen values; raise it, or \
             lower num_buckets",
            vocabulary.layout.name, vocabulary.layout.num_buckets
        ),
    })
}

/// Tuples are made of single values, under a name that no member has.
fn check_tuple(
    config: &Categorify,
    input: &InputSchema,
    members: &[String],
    name: &str,
) -> Result<()> {
    for member in members {
        let column = input.column(member)?;
        if column.shape().is_list() {
            return Err(Error::UnsupportedType {
                operator: input.operator().to_owned(),
                column: member.clone(),
                found: format!("{}{}", column.dtype(), column.shape()),
                expected: "encode_type combo needs a single value per row; use joint for lists"
                    .to_owned(),
            });
        }
    }
    if config.vocabs.contains_key(name) {
        return Err(Error::InvalidOption {
            operator: input.operator().to_owned(),
            option: "vocabs".to_owned(),
            value: format!("given for `{name}`"),
            expected: "vocabularies of combinations cannot be given; leave it out".to_owned(),
        });
    }
    Ok(())
}

/// Columns that share a vocabulary have values that can be compared.
fn check_shared_type(input: &InputSchema, members: &[String]) -> Result<()> {
    let kind = |dtype: DType| match dtype {
        DType::Unknown => None,
        dtype if dtype.is_integer() => Some("integers"),
        dtype if dtype.is_float() => Some("floats"),
        DType::Bool => Some("booleans"),
        DType::String | DType::Binary => Some("strings"),
        _ => Some("dates or timestamps"),
    };
    let mut first: Option<(&str, &str)> = None;
    for member in members {
        let column = input.column(member)?;
        let Some(kind) = kind(column.dtype()) else {
            continue;
        };
        match first {
            None => first = Some((member, kind)),
            Some((_, known)) if known == kind => {}
            Some((other, known)) => {
                return Err(Error::UnsupportedType {
                    operator: input.operator().to_owned(),
                    column: member.clone(),
                    found: column.dtype().to_string(),
                    expected: format!(
                        "it shares a vocabulary with `{other}`, which holds {known}; cast one of them"
                    ),
                });
            }
        }
    }
    Ok(())
}

/// The value of an option for a vocabulary: under its own name, or under that of a member.
fn option_of<T: Copy + PartialEq + std::fmt::Display>(
    input: &InputSchema,
    option: &str,
    values: &PerColumn<T>,
    name: &str,
    members: &[String],
) -> Result<Option<T>> {
    if let Some(value) = values.get(name) {
        return Ok(Some(*value));
    }
    let mut given = members
        .iter()
        .filter_map(|member| Some((member, *values.get(member)?)));
    let Some((first, value)) = given.next() else {
        return Ok(None);
    };
    match given.find(|(_, other)| *other != value) {
        None => Ok(Some(value)),
        Some((second, other)) => Err(Error::InvalidOption {
            operator: input.operator().to_owned(),
            option: option.to_owned(),
            value: format!("{value} for `{first}` and {other} for `{second}`"),
            expected: format!("they share one vocabulary; give one value for `{name}`"),
        }),
    }
}
