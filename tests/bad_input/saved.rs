//! Saved workflows, outputs, models and checkpoints that are not what they were.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use emrys::etl::ops::{Categorify, Normalize, TargetEncoding};
use emrys::etl::{Dataset, FittedWorkflow, Manifest, WriteOptions, cols};
use emrys::models::Model;
use emrys::models::tasks::BinaryClassification;
use emrys::models::trainer::Checkpoints;
use serde_json::{Value, json};

use crate::models::{dlrm, loader, schema, spec, trainer};
use crate::table::{Outcome, case, check, clicks, fitted};

/// Changes a JSON file.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) -> Outcome {
    let mut json: Value = serde_json::from_slice(&fs::read(path)?)?;
    change(&mut json);
    fs::write(path, serde_json::to_vec(&json)?)?;
    Ok(())
}

/// Saves a workflow of three operators, changes its file, and loads it.
fn reload(dir: &Path, change: impl FnOnce(&mut Value)) -> Outcome {
    let folder = save_workflow(dir)?;
    edit(&folder.join("workflow.json"), change)?;
    FittedWorkflow::load(folder)?;
    Ok(())
}

fn save_workflow(dir: &Path) -> Result<std::path::PathBuf, Box<dyn std::error::Error>> {
    let ids = cols(["user"]) >> Categorify::new();
    let prices = cols(["price"]) >> Normalize::default();
    let rates = cols(["item"]) >> TargetEncoding::new("clicked");
    let folder = dir.join("workflow");
    fitted(ids + prices + rates)?.save(&folder)?;
    Ok(folder)
}

/// The first operator of that name in a saved workflow.
fn operator<'a>(workflow: &'a mut Value, name: &str) -> &'a mut Value {
    let steps = workflow["steps"].as_array_mut().expect("a list of steps");
    let operators = steps.iter_mut().filter_map(|step| step.get_mut("operator"));
    operators
        .into_iter()
        .find(|operator| operator["name"] == name)
        .expect("an operator of that name")
}

/// A file of a saved operator.
fn artifact(folder: &Path) -> std::path::PathBuf {
    let nodes = fs::read_dir(folder.join("artifacts")).expect("artifacts");
    let mut files: Vec<_> = nodes
        .flat_map(|node| fs::read_dir(node.expect("a folder").path()).expect("files"))
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    files.remove(0)
}

#[test]
fn workflows() {
    check(&[
        case(
            "nothing at the path",
            |dir| {
                FittedWorkflow::load(dir.join("workflow"))?;
                Ok(())
            },
            "read `[dir]/workflow/workflow.json`: No such file or directory (os error 2)",
        ),
        case(
            "no JSON",
            |dir| {
                fs::write(dir.join("workflow.json"), "{\n  \"emrys_workflow\": 1,\n")?;
                FittedWorkflow::load(dir)?;
                Ok(())
            },
            "load `[dir]/workflow.json`: EOF while parsing a value at line 3 column 0",
        ),
        case(
            "the workflow of another library",
            |dir| {
                fs::write(
                    dir.join("workflow.json"),
                    "{\"versions\": {\"nvtabular\": \"23.8\"}}",
                )?;
                FittedWorkflow::load(dir)?;
                Ok(())
            },
            "load `[dir]/workflow.json`: it is not a saved workflow: `emrys_workflow` is missing",
        ),
        case(
            "a newer format",
            |dir| reload(dir, |workflow| workflow["emrys_workflow"] = json!(3)),
            "load `[dir]/workflow/workflow.json`: format version 3 is newer than 2, the newest this version reads; update emrys",
        ),
        case(
            "an operator that does not exist",
            |dir| {
                reload(dir, |workflow| {
                    operator(workflow, "Normalize")["name"] = json!("Normalise");
                })
            },
            "load `[dir]/workflow/workflow.json`: step 3: operator `Normalise` is not registered (did you mean `Normalize`?); if it is your own, load with `FittedWorkflow::load_with(path, Registry::default().with::<Normalise>())`, else with the version of emrys that has it",
        ),
        case(
            "an operator that was not fitted",
            |dir| {
                reload(dir, |workflow| {
                    operator(workflow, "Normalize")
                        .as_object_mut()
                        .expect("an operator")
                        .remove("state");
                })
            },
            "load `[dir]/workflow/workflow.json`: step 3 (Normalize) was not fitted; fit the workflow and save it again",
        ),
        case(
            "a state that is another operator's",
            |dir| {
                reload(dir, |workflow| {
                    let state = operator(workflow, "Normalize")["state"].clone();
                    operator(workflow, "Categorify")["state"] = state;
                })
            },
            "load `[dir]/workflow/workflow.json`: step 1 (Categorify): categorify: invalid type: map, expected a sequence",
        ),
        case(
            "a state of other columns",
            |dir| {
                reload(dir, |workflow| {
                    let text = operator(workflow, "Normalize")["state"]
                        .to_string()
                        .replace("price", "weight");
                    operator(workflow, "Normalize")["state"] =
                        serde_json::from_str(&text).expect("JSON");
                })?;
                FittedWorkflow::load(dir.join("workflow"))?
                    .transform(&clicks())?
                    .collect()?;
                Ok(())
            },
            "normalize (node 3): it was not fitted on `price`; fit the workflow again",
        ),
        case(
            "an option that does not exist",
            |dir| {
                reload(dir, |workflow| {
                    operator(workflow, "Normalize")["config"]["mean"] = json!(0);
                })
            },
            "load `[dir]/workflow/workflow.json`: step 3: operator `Normalize`: unknown field `mean`, expected `out_dtype`",
        ),
        case(
            "a step that uses a later one",
            |dir| {
                reload(dir, |workflow| {
                    operator(workflow, "Normalize")["input"] = json!(90);
                })
            },
            "load `[dir]/workflow/workflow.json`: step 3 uses a step that comes after it",
        ),
        case(
            "an output that is not there",
            |dir| reload(dir, |workflow| workflow["output"] = json!(90)),
            "load `[dir]/workflow/workflow.json`: the output is step 90, which is not there",
        ),
        case(
            "an artifact that is missing",
            |dir| {
                let folder = save_workflow(dir)?;
                fs::remove_file(artifact(&folder))?;
                FittedWorkflow::load(folder)?;
                Ok(())
            },
            "load `[dir]/workflow/workflow.json`: step 1 (Categorify): artifact `artifacts/node_001/meta.user.parquet` is missing; save it again",
        ),
        case(
            "an artifact that is corrupt",
            |dir| {
                let folder = save_workflow(dir)?;
                fs::write(artifact(&folder), "PAR1 was here")?;
                FittedWorkflow::load(folder)?;
                Ok(())
            },
            "read `[dir]/workflow/artifacts/node_001/meta.user.parquet`: it is corrupt or no parquet file; write or copy it again: Parquet error: Invalid Parquet file. Corrupt footer",
        ),
        case(
            "saving over what is not ours",
            |dir| {
                fs::write(dir.join("diary.txt"), "dear")?;
                fitted(cols(["price"]) >> Normalize::default())?.save(dir)?;
                Ok(())
            },
            "overwrite `[dir]`: the folder holds files but no `workflow.json`, so it was not written by emrys; choose another folder or delete it yourself",
        ),
    ]);
}

fn output(dir: &Path) -> Result<std::path::PathBuf, Box<dyn std::error::Error>> {
    let out = dir.join("out");
    fitted(cols(["item", "price"]))?
        .transform(&clicks())?
        .write(&out, &WriteOptions::new())?;
    Ok(out)
}

/// Checksums of files depend on the version of the parquet library.
fn without_checksums(text: &str) -> String {
    let is_checksum =
        |word: &str| word.len() == 16 && word.chars().all(|digit| digit.is_ascii_hexdigit());
    let words = text
        .split(' ')
        .map(|word| match word.trim_end_matches(',') {
            checksum if is_checksum(checksum) => word.replace(checksum, "[checksum]"),
            _ => word.to_owned(),
        });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn manifests() {
    check(&[
        case(
            "a newer manifest",
            |dir| {
                let out = output(dir)?;
                edit(&out.join("_emrys.json"), |manifest| {
                    manifest["version"] = json!(2);
                })?;
                Dataset::open(out)?;
                Ok(())
            },
            "load `[dir]/out/_emrys.json`: format version 2 is newer than 1, the newest this version reads; update emrys",
        ),
        case(
            "a manifest that is none",
            |dir| {
                let out = output(dir)?;
                fs::write(out.join("_emrys.json"), "[]")?;
                Dataset::open(out)?;
                Ok(())
            },
            "load `[dir]/out/_emrys.json`: it is not a manifest (invalid length 0, expected struct Version with 1 element at line 1 column 2); write the data again",
        ),
        case(
            "a file that was changed",
            |dir| {
                let out = output(dir)?;
                let file = out.join("part_00000.parquet");
                let mut bytes = fs::read(&file)?;
                bytes[10] ^= 1;
                fs::write(file, bytes)?;
                let verified = Manifest::read(&out)?.expect("a manifest").verify(&out);
                verified.map_err(|error| without_checksums(&error.to_string()).into())
            },
            "load `[dir]/out/part_00000.parquet`: its checksum is [checksum], but [checksum] was written; the file has been changed or damaged",
        ),
    ]);
}

/// Saves a model, changes its folder, and loads it.
fn reload_model(dir: &Path, change: impl FnOnce(&Path) -> Outcome) -> Outcome {
    let folder = dir.join("model");
    dlrm()?.save(&folder)?;
    change(&folder)?;
    Model::load(folder, &Device::default())?;
    Ok(())
}

#[test]
fn models() {
    check(&[
        case(
            "nothing at the path",
            |dir| {
                Model::load(dir.join("model"), &Device::default())?;
                Ok(())
            },
            "cannot read `[dir]/model/model.json`: No such file or directory (os error 2)",
        ),
        case(
            "a newer format",
            |dir| {
                reload_model(dir, |folder| {
                    edit(&folder.join("model.json"), |model| {
                        model["format"] = json!(2);
                    })
                })
            },
            "`[dir]/model/model.json` has format version 2, this program reads up to 1; upgrade emrys to load it",
        ),
        case(
            "a description that is none",
            |dir| {
                reload_model(dir, |folder| {
                    Ok(fs::write(folder.join("model.json"), "{}")?)
                })
            },
            "`[dir]/model/model.json` is not a model description that this program can read: missing field `format` at line 1 column 2",
        ),
        case(
            "a block that does not exist",
            |dir| {
                reload_model(dir, |folder| {
                    let path = folder.join("model.json");
                    let text = fs::read_to_string(&path)?.replace("\"dlrm\"", "\"dlmr\"");
                    Ok(fs::write(path, text)?)
                })
            },
            "`[dir]/model/model.json` is not a model description that this program can read: block type `dlmr` is not registered; did you mean `dlrm`? (there are: concat, continuous_features, cosine_similarity, dlrm, dot_product_interaction, elementwise_product, elementwise_sum, embeddings, filter, inputs and 10 more); register the type with `register_block` before the model is loaded at line 47 column 5",
        ),
        case(
            "weights that are missing",
            |dir| {
                reload_model(dir, |folder| {
                    Ok(fs::remove_file(folder.join("weights.safetensors"))?)
                })
            },
            "cannot read `[dir]/model/weights.safetensors`: No such file or directory (os error 2)",
        ),
        case(
            "weights that are cut off",
            |dir| {
                reload_model(dir, |folder| {
                    let path = folder.join("weights.safetensors");
                    let bytes = fs::read(&path)?;
                    Ok(fs::write(path, &bytes[..bytes.len() / 2])?)
                })
            },
            "weights in `[dir]/model/weights.safetensors`: SafeTensors error: invalid header length; the file is damaged, save the model again",
        ),
        case(
            "weights of another model",
            |dir| {
                let other = dir.join("other");
                spec(6, BinaryClassification::new("click"))
                    .build(&schema(), &Device::default(), 0)?
                    .save(&other)?;
                let folder = dir.join("model");
                dlrm()?.save(&folder)?;
                fs::copy(
                    other.join("weights.safetensors"),
                    folder.join("weights.safetensors"),
                )?;
                Model::load(folder, &Device::default())?;
                Ok(())
            },
            "weights in `[dir]/model/weights.safetensors`: `body.top_block.layers.0.weight` has shape [11, 6], but the model needs [11, 4]; load the weights that were saved with this model",
        ),
        case(
            "tables that are missing",
            |dir| {
                reload_model(dir, |folder| {
                    Ok(fs::remove_file(folder.join("embeddings.safetensors"))?)
                })
            },
            "cannot read `[dir]/model/embeddings.safetensors`: No such file or directory (os error 2)",
        ),
        case(
            "an output that is there",
            |dir| {
                dlrm()?.save(dir)?;
                Ok(())
            },
            "`[dir]` already exists; choose another folder or remove it",
        ),
        case(
            "a folder that cannot be made",
            |dir| {
                fs::write(dir.join("file"), "")?;
                dlrm()?.save(dir.join("file/model"))?;
                Ok(())
            },
            "cannot create `[dir]/file/model`: Not a directory (os error 20)",
        ),
    ]);
}

/// Trains with checkpoints, changes the newest one, and resumes.
fn resume(dir: &Path, seed: u64, change: impl FnOnce(&Path) -> Outcome) -> Outcome {
    let data = loader(dir)?;
    let folder = dir.join("checkpoints");
    let trainer = trainer().with_checkpoints(Checkpoints::new(&folder));
    trainer.fit(&mut dlrm()?, &data, None)?;
    change(&folder.join("step-000000000002"))?;
    trainer.with_seed(seed).fit(&mut dlrm()?, &data, None)?;
    Ok(())
}

#[test]
fn checkpoints() {
    check(&[
        case(
            "a newer format",
            |dir| {
                resume(dir, 0, |checkpoint| {
                    edit(&checkpoint.join("checkpoint.json"), |json| {
                        json["format"] = json!(2);
                    })
                })
            },
            "`[dir]/checkpoints/step-000000000002/checkpoint.json` has format version 2, this program reads up to 1; upgrade emrys to load it",
        ),
        case(
            "a checkpoint that is damaged",
            |dir| {
                resume(dir, 0, |checkpoint| {
                    Ok(fs::write(
                        checkpoint.join("checkpoint.json"),
                        "{\"format\": 1}",
                    )?)
                })
            },
            "checkpoint `[dir]/checkpoints/step-000000000002/checkpoint.json` is damaged: missing field `model` at line 1 column 13; remove it to go on without it",
        ),
        case(
            "a checkpoint of another seed",
            |dir| resume(dir, 1, |_| Ok(())),
            "checkpoint `[dir]/checkpoints/step-000000000002` was made with another seed; train with the same one, or choose another folder for checkpoints",
        ),
        case(
            "a checkpoint without its model",
            |dir| {
                resume(dir, 0, |checkpoint| {
                    Ok(fs::remove_dir_all(checkpoint.join("model"))?)
                })
            },
            "cannot read `[dir]/checkpoints/step-000000000002/model/weights.safetensors`: No such file or directory (os error 2)",
        ),
        case(
            "a checkpoint whose optimizer is cut off",
            |dir| {
                resume(dir, 0, |checkpoint| {
                    Ok(fs::write(checkpoint.join("dense_optimizer"), "x")?)
                })
            },
            "optimizer state in `[dir]/checkpoints/step-000000000002/dense_optimizer`: I/O error: failed to fill whole buffer",
        ),
    ]);
}
