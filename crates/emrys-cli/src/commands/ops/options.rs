//! The options of an operator with their defaults, from its serialised configuration.

use emrys_etl::ops::{self, Entry};
use serde_json::{Map, Value, json};

/// An option of an operator.
pub(super) struct Described {
    pub(super) name: String,
    /// `None` if it must be given.
    pub(super) default: Option<Value>,
}

/// The options of an operator: those of its default configuration, and others that its examples
/// use.
pub(super) fn of(entry: &Entry) -> Vec<Described> {
    let examples: Vec<Map<String, Value>> = (entry.examples)()
        .into_iter()
        .filter_map(|example| example.config.as_object().cloned())
        .collect();
    let (required, defaults) = defaults(entry.name, &examples);
    let mut options: Vec<Described> = required
        .into_iter()
        .map(|name| Described {
            name,
            default: None,
        })
        .collect();
    let mut add = |name: &str, default: Value| {
        if options.iter().all(|option| option.name != name) {
            options.push(Described {
                name: name.to_owned(),
                default: Some(default),
            });
        }
    };
    for (name, default) in &defaults {
        add(name, default.clone());
    }
    // Options that are not serialised while they have no value.
    for example in &examples {
        for name in configuration(entry.name, example.clone())
            .iter()
            .flat_map(Map::keys)
        {
            add(name, Value::Null);
        }
    }
    options
}

/// The names of the options that must be given, and the configuration where nothing else is.
fn defaults(operator: &str, examples: &[Map<String, Value>]) -> (Vec<String>, Map<String, Value>) {
    let build = |params: &Map<String, Value>| ops::build(operator, Value::Object(params.clone()));
    let mut given = Map::new();
    loop {
        let names = || given.keys().cloned().collect();
        let problem = match build(&given) {
            Ok(_) => {
                let configuration = configuration(operator, given.clone()).unwrap_or_default();
                return (names(), configuration);
            }
            Err(error) => error.to_string(),
        };
        let Some(missing) = missing_field(&problem).filter(|name| !given.contains_key(*name))
        else {
            // The examples tell the rest.
            return (names(), Map::new());
        };
        let of_examples = examples
            .iter()
            .filter_map(|example| example.get(missing))
            .cloned();
        let any = [
            json!("x"),
            json!(["x"]),
            json!(1),
            json!([1]),
            json!(true),
            json!({}),
        ];
        // What is missing next, if anything, must be something else.
        let value = of_examples.chain(any).find(|value| {
            let mut more = given.clone();
            more.insert(missing.to_owned(), value.clone());
            build(&more).map_or_else(
                |error| missing_field(&error.to_string()).is_some_and(|next| next != missing),
                |_| true,
            )
        });
        given.insert(missing.to_owned(), value.unwrap_or_default());
    }
}

fn configuration(operator: &str, params: Map<String, Value>) -> Option<Map<String, Value>> {
    let operator = ops::build(operator, Value::Object(params)).ok()?;
    match operator.config().ok()? {
        Value::Object(configuration) => Some(configuration),
        _ => None,
    }
}

/// The name in "missing field `x`", as serde words it.
fn missing_field(problem: &str) -> Option<&str> {
    let (_, rest) = problem.split_once("missing field `")?;
    rest.split_once('`').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(name: &str) -> Vec<(String, Option<Value>)> {
        let entries = ops::registry();
        let entry = entries.iter().find(|entry| entry.name == name).unwrap();
        of(entry)
            .into_iter()
            .map(|option| (option.name, option.default))
            .collect()
    }

    #[test]
    fn defaults_are_those_of_the_configuration() {
        let options = options("TargetEncoding");
        assert_eq!(options[0], ("target".to_owned(), None));
        assert!(
            options
                .iter()
                .any(|(name, default)| name == "kfold" && default.is_some())
        );
    }

    #[test]
    fn options_that_must_be_given_need_no_example() {
        let (required, defaults) = defaults("JoinExternal", &[]);
        assert_eq!(required, ["on"]);
        assert_eq!(defaults["how"], "left");
    }

    #[test]
    fn every_operator_has_options_or_is_built_without() {
        for entry in ops::registry() {
            let built_without = ops::build(entry.name, Value::Object(Map::new())).is_ok();
            assert!(built_without || !of(&entry).is_empty(), "{}", entry.name);
        }
    }
}
