//! Files of tables, and what they give back.

use super::*;

#[test]
fn saved_weights_and_state_continue_with_the_same_bits() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (weights, state) = (
        folder.path().join("w.safetensors"),
        folder.path().join("s.safetensors"),
    );
    for optimizer in [
        SparseOptimizer::sgd(),
        SparseOptimizer::adagrad(),
        SparseOptimizer::row_wise_adagrad(),
        SparseOptimizer::lazy_adam(),
    ] {
        let (specs, features) = shop();
        let mut tables = EmbeddingTables::new(specs.clone(), features.clone(), 1)?;
        let batch = shop_batch(&tables);
        for _ in 0..3 {
            step_on(&mut tables, &batch, &shop_probes(), &optimizer)?;
        }
        tables.save_weights(&weights)?;
        tables.save_state(&state)?;

        let mut restored = EmbeddingTables::zeros(specs, features)?;
        restored.load_weights(&weights)?;
        restored.load_state(&state)?;
        assert_eq!(restored.weights("item")?, tables.weights("item")?);
        for one in [&mut tables, &mut restored] {
            step_on(one, &batch, &shop_probes(), &optimizer)?;
        }
        assert_eq!(
            restored.weights("item")?,
            tables.weights("item")?,
            "{optimizer:?}"
        );
        assert_eq!(
            restored.weights("city")?,
            tables.weights("city")?,
            "{optimizer:?}"
        );
    }
    Ok(())
}

#[test]
fn files_of_other_tables_are_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("w.safetensors");
    let (mut specs, features) = shop();
    EmbeddingTables::new(specs.clone(), features.clone(), 1)?.save_weights(&path)?;
    specs[0].rows = 21;
    let mut grown = EmbeddingTables::new(specs, features, 1)?;
    let error = grown.load_weights(&path).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "does not fit these embedding tables: `embeddings.item` is F32 [20, 4] there, \
             but F32 [21, 4] here; the rows are the domain's max + 1"
        ),
        "{error}"
    );
    let error = grown.load_state(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("it does not describe the state of an optimizer"),
        "{error}"
    );

    std::fs::write(&path, "not a tensor")?;
    let error = grown.load_weights(&path).unwrap_err().to_string();
    assert!(error.ends_with("it is not a safetensors file"), "{error}");
    Ok(())
}

#[test]
fn another_optimizer_begins_only_after_the_state_is_reset() -> TestResult {
    let (specs, features) = shop();
    let mut tables = EmbeddingTables::new(specs, features, 1)?;
    let batch = shop_batch(&tables);
    let step = |tables: &mut EmbeddingTables, with| step_on(tables, &batch, &shop_probes(), &with);
    step(&mut tables, SparseOptimizer::adagrad())?;
    let error = step(&mut tables, SparseOptimizer::lazy_adam())
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!(error, @"embedding table `city` holds the state of `adagrad`, but `lazy_adam` is to update it; call `reset_state` to start the new optimizer from scratch");
    tables.reset_state();
    step(&mut tables, SparseOptimizer::lazy_adam())?;
    Ok(())
}

#[test]
fn exported_rows_come_back() -> TestResult {
    use arrow::array::{AsArray, RecordBatch};
    use arrow::datatypes::{Float32Type, Int64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("item.parquet");
    let (specs, features) = shop();
    let tables = EmbeddingTables::new(specs, features, 1)?;
    let read = |path| -> Result<RecordBatch, Box<dyn std::error::Error>> {
        let file = std::fs::File::open(path)?;
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
        Ok(reader.next().ok_or("no rows")??)
    };

    tables.export_parquet("item", VectorLayout::Columns, &path)?;
    let batch = read(&path)?;
    assert_eq!((batch.num_rows(), batch.num_columns()), (20, 5));
    assert_eq!(batch["id"].as_primitive::<Int64Type>().value(19), 19);
    let third: Vec<f32> = (0..4)
        .map(|d| {
            batch[d.to_string().as_str()]
                .as_primitive::<Float32Type>()
                .value(3)
        })
        .collect();
    assert_eq!(third, tables.row("item", 3)?);

    tables.export_parquet("item", VectorLayout::List, &path)?;
    let batch = read(&path)?;
    let lists = batch["embedding"].as_fixed_size_list();
    assert_eq!(
        lists.values().as_primitive::<Float32Type>().values(),
        tables.weights("item")?
    );
    Ok(())
}
