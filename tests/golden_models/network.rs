//! Parameters of blocks by their paths: set from a case, and compared with it.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use crate::case::{Case, Golden, Outcome, Stop};
use crate::compare::{Tolerance, numbers, same};

/// From the paths of parameters to the names of a case's weights.
pub type Names = BTreeMap<String, String>;

/// The names of an Mlp's parameters: `<ours>layers.0.weight` is `<theirs>0.kernel`, and so on.
pub fn mlp_names(ours: &str, theirs: &str, layers: usize) -> Names {
    (0..layers)
        .flat_map(|layer| {
            [("weight", "kernel"), ("bias", "bias")].map(|(our, their)| {
                (
                    format!("{ours}layers.{layer}.{our}"),
                    format!("{theirs}{layer}.{their}"),
                )
            })
        })
        .collect()
}

/// Puts the case's weights into a module; every parameter must have one.
pub fn set_weights<M: Module>(case: &Case, module: M, names: &Names) -> Result<M, Stop> {
    let mut setter = Setter {
        case,
        names,
        path: Vec::new(),
        missing: Vec::new(),
    };
    let module = module.map(&mut setter);
    match setter.missing.first() {
        None => Ok(module),
        Some(path) => Err(Stop::Fail(format!(
            "parameter `{path}` has no weight in the case"
        ))),
    }
}

struct Setter<'a> {
    case: &'a Case,
    names: &'a Names,
    path: Vec<String>,
    missing: Vec<String>,
}

impl ModuleMapper for Setter<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let golden = self
            .names
            .get(&path)
            .and_then(|name| self.case.tensors.get(&format!("weights/{name}")));
        let Some(golden) = golden else {
            self.missing.push(path);
            return param;
        };
        assert_eq!(golden.shape, param.val().dims(), "shape of `{path}`");
        let (id, old, mapper) = param.consume();
        let data = TensorData::new(golden.f32(), golden.shape.clone());
        let tensor = Tensor::<D>::from_data(data, &old.device()).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Compares the gradients, or the values, of all parameters with `<prefix>weights/<name>`.
pub fn compare_parameters<M: Module>(
    case: &Case,
    module: &M,
    names: &Names,
    prefix: &str,
    gradients: Option<&Gradients>,
) -> Outcome {
    let mut reader = Reader {
        gradients,
        path: Vec::new(),
        found: Vec::new(),
    };
    module.visit(&mut reader);
    for (path, numbers) in reader.found {
        let name = format!("{prefix}weights/{}", names[&path]);
        let tolerance = if gradients.is_some() {
            Tolerance::Gradient
        } else {
            Tolerance::Step
        };
        same(case, &name, &numbers, tolerance)?;
    }
    Ok(())
}

struct Reader<'a> {
    gradients: Option<&'a Gradients>,
    path: Vec<String>,
    found: Vec<(String, Vec<f64>)>,
}

impl ModuleVisitor for Reader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            None => param.val(),
            Some(gradients) => {
                let zeros = || Tensor::zeros(param.val().dims(), &param.val().device());
                param.val().grad(gradients).unwrap_or_else(zeros)
            }
        };
        self.found.push((self.path.join("."), numbers(tensor)));
    }
}

/// A tensor of the case on a device.
pub fn on_device<const D: usize>(golden: &Golden, device: &burn::tensor::Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(golden.f32(), golden.shape.clone()), device)
}
