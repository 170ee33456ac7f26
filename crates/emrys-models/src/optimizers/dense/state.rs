//! Files of optimizer state, keyed by the paths of parameters.
//!
//! Burn keys the state by parameter ids, which are drawn anew whenever a model is built. Paths
//! such as `body.layers.0.weight` stay, so a file of ours fits any module of the same structure.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{ModuleOptimizer, StateSource};
use burn::tensor::{Device, Tensor};
use burn_pack::{Reader, Writer};

use crate::Error;

/// Between a parameter's path and the name of a part of its state. No part's name contains it.
const SEPARATOR: char = ':';

/// Takes a tensor of a parameter's state out of what was read.
pub(super) fn take_tensor<const D: usize>(
    prefix: &str,
    leaf: &str,
    source: &mut StateSource,
    device: &Device,
) -> Option<Tensor<D>> {
    source
        .take_tensor(prefix, leaf)
        .map(|data| Tensor::from_data(data, device))
}

/// Writes the state of an optimizer to a file, keyed by the paths of the parameters.
///
/// The bits are exact: an optimizer that reads them back continues as this one would.
///
/// # Errors
/// [`Error::OptimizerState`] if the file cannot be written.
pub fn save_dense_state(optimizer: &ModuleOptimizer, path: &Path) -> Result<(), Error> {
    let fail = |problem: String| state_error(path, problem);
    let bytes = optimizer
        .into_bytes()
        .map_err(|error| fail(error.to_string()))?;
    let reader = Reader::from_bytes(bytes).map_err(|error| fail(error.to_string()))?;
    let paths = reader.metadata().clone();
    let renamed = rekey(reader, |name| {
        let (id, part) = name.split_once('.')?;
        Some((format!("{}{SEPARATOR}{part}", paths.get(id)?), None))
    });
    let writer = renamed.map_err(fail)?.auto_extension(false).overwrite(true);
    writer
        .write_to_file(path)
        .map_err(|error| fail(error.to_string()))
}

/// Gives an optimizer the state that [`save_dense_state`] wrote, for the parameters of `module`.
///
/// # Errors
/// [`Error::OptimizerState`] if the file cannot be read, or holds the state of a parameter that
/// `module` does not have.
pub fn load_dense_state<M: Module>(
    optimizer: ModuleOptimizer,
    module: &M,
    path: &Path,
) -> Result<ModuleOptimizer, Error> {
    let fail = |problem: String| state_error(path, problem);
    let ids = ParameterPaths::of(module);
    let reader = Reader::from_file_exact(path).map_err(|error| fail(error.to_string()))?;
    let renamed = rekey(reader, |name| {
        let (path, part) = name.rsplit_once(SEPARATOR)?;
        let id = ids.get(path)?.val();
        Some((format!("{id}.{part}"), Some(id)))
    });
    let mut writer = renamed.map_err(fail)?;
    for (path, id) in &ids {
        writer = writer.with_metadata(&id.val().to_string(), path);
    }
    let bytes = writer
        .into_bytes()
        .map_err(|error| fail(error.to_string()))?;
    optimizer
        .from_bytes(bytes)
        .map_err(|error| fail(error.to_string()))
}

fn state_error(path: &Path, problem: String) -> Error {
    Error::OptimizerState {
        path: path.to_owned(),
        problem,
    }
}

/// The same tensors and scalars under other names and parameter ids.
fn rekey(
    reader: Reader,
    rename: impl Fn(&str) -> Option<(String, Option<u64>)>,
) -> Result<Writer, String> {
    let unknown = |name: &str| format!("it holds `{name}`, but there is no parameter of that name");
    let scalars = reader.scalars().clone();
    let mut tensors = reader.into_tensors().map_err(|error| error.to_string())?;
    for tensor in &mut tensors {
        let (name, id) = rename(&tensor.name).ok_or_else(|| unknown(&tensor.name))?;
        tensor.name = name;
        tensor.param_id = id;
    }
    let mut writer = Writer::new(tensors);
    for (name, value) in &scalars {
        let (name, _) = rename(name).ok_or_else(|| unknown(name))?;
        writer = writer.with_scalar(&name, *value);
    }
    Ok(writer)
}

/// Collects the path and id of each float parameter, naming paths as Burn's optimizer does.
#[derive(Default)]
struct ParameterPaths {
    inside: Vec<String>,
    ids: BTreeMap<String, ParamId>,
}

impl ParameterPaths {
    fn of<M: Module>(module: &M) -> BTreeMap<String, ParamId> {
        let mut paths = Self::default();
        module.visit(&mut paths);
        paths.ids
    }
}

impl ModuleVisitor for ParameterPaths {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.inside.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.inside.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.ids.insert(self.inside.join("."), param.id);
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::TensorData;

    use super::*;
    use crate::optimizers::DenseOptimizer;

    #[derive(Module, Debug)]
    struct Net {
        first: Linear,
        second: Linear,
    }

    impl Net {
        fn new(device: &Device) -> Self {
            Self {
                first: LinearConfig::new(3, 4).init(device),
                second: LinearConfig::new(4, 1).init(device),
            }
        }

        fn weights(&self) -> TensorData {
            self.first.weight.val().into_data()
        }
    }

    fn step(optimizer: &mut ModuleOptimizer, net: Net, scale: f32) -> Net {
        let device = net.first.weight.device();
        let input = Tensor::<2>::ones([2, 3], &device).mul_scalar(scale);
        let loss = net.second.forward(net.first.forward(input)).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        optimizer.step(0.1, net, gradients)
    }

    #[test]
    fn a_restored_optimizer_continues_with_the_same_bits_in_a_module_with_other_ids() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dense.bpk");
        let device = Device::default().autodiff();
        let momentum = DenseOptimizer::Sgd {
            learning_rate: 0.1,
            momentum: 0.9,
            nesterov: true,
        };
        for config in [DenseOptimizer::adam(), DenseOptimizer::adagrad(), momentum] {
            let mut optimizer = config.init();
            let mut net = Net::new(&device);
            for scale in [1.0, 0.5, -0.3] {
                net = step(&mut optimizer, net, scale);
            }
            save_dense_state(&optimizer, &file).unwrap();

            // The same weights under new ids, as in a model that was built and loaded again.
            let renewed = |linear: &Linear| Linear {
                weight: Param::from_tensor(Tensor::from_data(
                    linear.weight.val().into_data(),
                    &device,
                )),
                bias: linear.bias.as_ref().map(|bias| {
                    Param::from_tensor(Tensor::from_data(bias.val().into_data(), &device))
                }),
            };
            let other = Net {
                first: renewed(&net.first),
                second: renewed(&net.second),
            };
            assert_ne!(other.first.weight.id, net.first.weight.id);
            let mut restored = load_dense_state(config.init(), &other, &file).unwrap();

            let expected = step(&mut optimizer, net, 0.7);
            let found = step(&mut restored, other, 0.7);
            assert_eq!(found.weights(), expected.weights(), "{config:?}");
        }
    }

    #[test]
    fn the_state_of_another_module_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dense.bpk");
        let device = Device::default().autodiff();
        let mut optimizer = DenseOptimizer::adam().init();
        step(&mut optimizer, Net::new(&device), 1.0);
        save_dense_state(&optimizer, &file).unwrap();

        let other = LinearConfig::new(3, 4).init(&device);
        let error = load_dense_state(DenseOptimizer::adam().init(), &other, &file)
            .err()
            .expect("the layer has no parameter `first.bias`");
        assert!(error.to_string().contains("first.bias"), "{error}");
    }
}
