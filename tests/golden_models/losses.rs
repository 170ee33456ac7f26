//! Cases of losses.

use burn::tensor::{Device, Int, Tensor, TensorData};
use emrys_models::losses::{
    Reduction, binary_cross_entropy, binary_cross_entropy_of_probabilities, softmax_cross_entropy,
    squared_error,
};

use crate::case::{Case, Outcome, Stop};
use crate::compare::{Tolerance, numbers, same, same_tensor};

pub fn run(case: &Case) -> Option<Outcome> {
    Some(match (case.kind.as_str(), case.name.as_str()) {
        ("loss", "binary_crossentropy") => bce(case),
        ("loss", "mse") => mse(case),
        ("loss", "categorical_crossentropy") => cross_entropy(case),
        _ => return None,
    })
}

/// A tensor of the case, on a device with autodiff.
pub fn tensor<const D: usize>(case: &Case, name: &str) -> Result<Tensor<D>, Stop> {
    let golden = case.tensor(name)?;
    let data = TensorData::new(golden.f32(), golden.shape.clone());
    Ok(Tensor::from_data(data, &Device::default().autodiff()))
}

/// A tensor of the case in one dimension, whatever it is in the file.
fn flat(case: &Case, name: &str) -> Result<Tensor<1>, Stop> {
    let values = case.tensor(name)?.f32();
    let data = TensorData::new(values.clone(), [values.len()]);
    Ok(Tensor::from_data(data, &Device::default().autodiff()))
}

/// Whether the gradient of `loss` for `input` is that of the case.
pub fn same_gradient<const D: usize>(
    case: &Case,
    name: &str,
    loss: &Tensor<1>,
    inputs: &[(&str, &Tensor<D>)],
) -> Outcome {
    let gradients = loss.backward();
    for (input, tensor) in inputs {
        let gradient = tensor
            .grad(&gradients)
            .ok_or_else(|| Stop::Fail(format!("no {name}")))?;
        same(
            case,
            &format!("grads/{input}"),
            &numbers(gradient),
            Tolerance::Gradient,
        )?;
    }
    Ok(())
}

fn bce(case: &Case) -> Outcome {
    let logits = flat(case, "inputs/logits")?.require_grad();
    let labels = || flat(case, "inputs/labels");
    let rows = || Ok::<_, Stop>(binary_cross_entropy(logits.clone(), labels()?));
    let weights = Some(flat(case, "inputs/sample_weight")?);
    let weighted = Reduction::Mean.apply(rows()?, weights);
    same_tensor(case, "outputs/weighted", weighted, Tolerance::Forward)?;
    let probabilities = flat(case, "inputs/probabilities")?;
    let loss = Reduction::Mean.apply(
        binary_cross_entropy_of_probabilities(probabilities, labels()?),
        None,
    );
    same_tensor(case, "outputs/from_probabilities", loss, Tolerance::Forward)?;
    let loss = Reduction::Mean.apply(rows()?, None);
    same_tensor(
        case,
        "outputs/from_logits",
        loss.clone(),
        Tolerance::Forward,
    )?;
    same_gradient(case, "logits", &loss, &[("inputs/logits", &logits)])
}

fn mse(case: &Case) -> Outcome {
    let predictions = flat(case, "inputs/predictions")?.require_grad();
    let rows = || {
        Ok::<_, Stop>(squared_error(
            predictions.clone(),
            flat(case, "inputs/labels")?,
        ))
    };
    let weights = Some(flat(case, "inputs/sample_weight")?);
    let weighted = Reduction::Mean.apply(rows()?, weights);
    same_tensor(case, "outputs/mse_weighted", weighted, Tolerance::Forward)?;
    let loss = Reduction::Mean.apply(rows()?, None);
    same_tensor(case, "outputs/mse", loss.clone(), Tolerance::Forward)?;
    same_gradient(
        case,
        "predictions",
        &loss,
        &[("inputs/predictions", &predictions)],
    )
}

fn cross_entropy(case: &Case) -> Outcome {
    let smoothing = case.float("label_smoothing").unwrap_or(0.0) as f32;
    let logits = tensor::<2>(case, "inputs/logits")?.require_grad();
    let rows = |smoothing: f32| {
        let classes = case.tensor("inputs/class")?.i64();
        let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &logits.device());
        Ok::<_, Stop>(softmax_cross_entropy(logits.clone(), classes, smoothing))
    };
    let mean = |rows, weights| Reduction::Mean.apply(rows, weights);
    same_tensor(
        case,
        "outputs/per_row",
        rows(smoothing)?,
        Tolerance::Forward,
    )?;
    same_tensor(
        case,
        "outputs/sparse",
        mean(rows(0.0)?, None),
        Tolerance::Forward,
    )?;
    let weights = Some(flat(case, "inputs/sample_weight")?);
    let weighted = mean(rows(smoothing)?, weights);
    same_tensor(case, "outputs/weighted", weighted, Tolerance::Forward)?;
    let loss = mean(rows(smoothing)?, None);
    same_tensor(case, "outputs/mean", loss.clone(), Tolerance::Forward)?;
    same_gradient(case, "logits", &loss, &[("inputs/logits", &logits)])
}
