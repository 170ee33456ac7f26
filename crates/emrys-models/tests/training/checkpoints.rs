//! A training that was cut off goes on as if it had not been.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use emrys_loader::LoaderConfig;
use emrys_models::optimizers::DenseOptimizer;
use emrys_models::trainer::{Checkpoints, Trainer};
use emrys_models::{Error, Model};
use safetensors::SafeTensors;

use crate::data::{Folder, clicks, dlrm, load, quiet};

/// 24 batches an epoch.
fn train(folder: &Folder, trainer: &Trainer) -> (Model, Vec<(u64, u64, String)>) {
    let file = folder.path("train.parquet");
    if !file.exists() {
        clicks(folder, "train.parquet", 3_000, 1);
    }
    let config = LoaderConfig::new(128).with_shuffle(true).with_seed(9);
    let train = load(&file, config);
    let mut model = dlrm();
    let history = trainer.fit(&mut model, &train, Some(&train)).unwrap();
    let epochs = history.epochs().iter().map(|epoch| {
        let valid: Vec<_> = epoch
            .valid
            .iter()
            .map(|(name, v)| (name, v.to_bits()))
            .collect();
        (epoch.rows, epoch.loss.to_bits(), format!("{valid:?}"))
    });
    let epochs = epochs.collect();
    (model, epochs)
}

/// Every number of a model, by file and name. (The order of tensors in a file is not fixed.)
fn bits(folder: &Folder, model: &Model, name: &str) -> BTreeMap<String, Vec<u8>> {
    let path = folder.path(name);
    model.save(&path).unwrap();
    let mut bits = BTreeMap::new();
    for file in ["weights.safetensors", "embeddings.safetensors"] {
        let bytes = fs::read(path.join(file)).unwrap();
        for (name, tensor) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            bits.insert(format!("{file}/{name}"), tensor.data().to_vec());
        }
    }
    assert_eq!(bits.len(), 8, "three layers and two tables");
    bits
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn resuming_gives_the_bits_of_an_uninterrupted_run() {
    let folder = Folder::new();
    let (uninterrupted, history) = train(&folder, &quiet().with_epochs(2));
    let expected = bits(&folder, &uninterrupted, "uninterrupted");

    // Batches: within the first epoch, at its end, within the second; some after a checkpoint.
    for stops in [vec![5], vec![24], vec![17, 31, 40]] {
        let checkpoints = folder.path(&format!("checkpoints-{}", stops.len() + stops[0] as usize));
        let trainer = quiet()
            .with_epochs(2)
            .with_checkpoints(Checkpoints::new(&checkpoints).every(5));
        for stop in &stops {
            train(&folder, &trainer.clone().with_max_steps(*stop));
            assert_eq!(
                names(&checkpoints).len(),
                1,
                "older checkpoints are removed"
            );
        }
        let (resumed, resumed_history) = train(&folder, &trainer);
        assert_eq!(resumed_history, history, "stopped at {stops:?}");
        let name = format!("resumed-{}", stops.len() + stops[0] as usize);
        assert!(
            bits(&folder, &resumed, &name) == expected,
            "stopped at {stops:?}"
        );
    }
}

#[test]
fn a_finished_training_is_not_repeated_and_can_be_made_longer() {
    let folder = Folder::new();
    let checkpoints = Checkpoints::new(folder.path("checkpoints"));
    let trainer = quiet().with_checkpoints(checkpoints);
    let (_, once) = train(&folder, &trainer);
    let (_, again) = train(&folder, &trainer);
    assert_eq!(once, again);
    let (_, longer) = train(&folder, &trainer.with_epochs(2));
    assert_eq!((longer.len(), &longer[0]), (2, &once[0]));
}

#[test]
fn a_save_that_was_cut_off_is_no_checkpoint() {
    let folder = Folder::new();
    let path = folder.path("checkpoints");
    fs::create_dir_all(path.join(".draft/model")).unwrap();
    fs::write(path.join(".draft/checkpoint.json"), "{").unwrap();
    let (_, history) = train(&folder, &quiet().with_checkpoints(Checkpoints::new(&path)));
    assert_eq!(history.len(), 1);
    assert_eq!(names(&path), ["step-000000000024"]);
    let parts = names(&path.join("step-000000000024"));
    assert_eq!(
        parts,
        [
            "checkpoint.json",
            "dense_optimizer",
            "model",
            "sparse_optimizer.safetensors"
        ]
    );
}

#[test]
fn other_settings_and_newer_formats_are_refused() {
    let folder = Folder::new();
    let path = folder.path("checkpoints");
    let trainer = quiet().with_checkpoints(Checkpoints::new(&path));
    train(&folder, &trainer);
    let load = || {
        load(
            &folder.path("train.parquet"),
            LoaderConfig::new(128).with_shuffle(true).with_seed(9),
        )
    };
    let refused = |trainer: Trainer| trainer.fit(&mut dlrm(), &load(), None).unwrap_err();
    let text = |error: Error| {
        let place = path.display().to_string();
        error.to_string().replace(&place, "checkpoints")
    };
    let other = trainer.clone().with_dense(DenseOptimizer::sgd());
    insta::assert_snapshot!(text(refused(other)), @"checkpoint `checkpoints/step-000000000024` was made with another dense optimizer; train with the same one, or choose another folder for checkpoints");
    let other = trainer.clone().with_seed(99);
    insta::assert_snapshot!(text(refused(other)), @"checkpoint `checkpoints/step-000000000024` was made with another seed; train with the same one, or choose another folder for checkpoints");

    let file = path.join("step-000000000024/checkpoint.json");
    let json = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        json.replace("\"format\": 1", "\"format\": 2, \"more\": true"),
    )
    .unwrap();
    insta::assert_snapshot!(text(refused(trainer.clone())), @"`checkpoints/step-000000000024/checkpoint.json` has format version 2, this program reads up to 1; upgrade emrys to load it");
    fs::write(&file, &json[..40]).unwrap();
    assert!(matches!(refused(trainer), Error::Checkpoint { .. }));
}
