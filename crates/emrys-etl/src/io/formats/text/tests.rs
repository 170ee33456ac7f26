use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use futures::{TryStreamExt, stream};
use insta::assert_snapshot;
use rstest::rstest;

use super::*;
use crate::io::remote;
use crate::io::testing::{
    TestResult, collect_partitions, frame, integers, session, without_folder,
};
use crate::{Dataset, ReadOptions};

fn compressed(kind: FileCompressionType, text: &str) -> Vec<u8> {
    let text = Bytes::from(text.to_owned());
    let source = stream::once(async { Ok(text) }).boxed();
    let blocks = kind.convert_to_compress_stream(source).unwrap();
    let compress = async {
        let blocks: Vec<Bytes> = blocks.try_collect().await.unwrap();
        Ok(blocks.concat())
    };
    remote::block_on("compressing", compress).unwrap()
}

fn numbers(range: std::ops::Range<i64>) -> String {
    range.map(|id| format!("{id}\n")).collect()
}

fn read(dataset: &Dataset, partitions: usize) -> Result<Vec<i64>> {
    let session = session(partitions);
    let frame = frame(&session, dataset, ReadOptions::default());
    let collect = async { frame.collect().await.map_err(Error::query("reading")) };
    Ok(integers(&session.run("reading", collect)?, "id"))
}

#[rstest]
#[case(FileCompressionType::GZIP, "gz")]
#[case(FileCompressionType::BZIP2, "bz2")]
#[case(FileCompressionType::XZ, "xz")]
#[case(FileCompressionType::ZSTD, "zst")]
fn compressed_files_are_read_and_told_when_cut_off(
    #[case] kind: FileCompressionType,
    #[case] extension: &str,
) -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(format!("x.csv.{extension}"));
    let first = compressed(kind, &format!("id\n{}", numbers(0..5000)));
    // Several compressed texts in a row are one text.
    let bytes = [first.clone(), compressed(kind, &numbers(5000..9000))].concat();
    std::fs::write(&path, &bytes)?;
    let dataset = Dataset::open(&path)?;
    for partitions in [1, 3] {
        assert_eq!(read(&dataset, partitions)?, (0..9000).collect::<Vec<_>>());
    }

    for length in [
        1,
        first.len() / 2,
        first.len() - 1,
        first.len() + 3,
        bytes.len() - 1,
    ] {
        std::fs::write(&path, &bytes[..length])?;
        let error = Dataset::open(&path).unwrap_err().to_string();
        assert!(
            error.contains(&format!("x.csv.{extension}`: its ")) && error.contains("cut off"),
            "{length} bytes: {error}"
        );
    }
    Ok(())
}

#[test]
fn a_compressed_file_is_one_partition_and_several_are_several() -> TestResult {
    let folder = tempfile::tempdir()?;
    for (name, range) in [("1", 0..100), ("2", 100..200), ("3", 200..300)] {
        let bytes = compressed(
            FileCompressionType::GZIP,
            &format!("id\n{}", numbers(range)),
        );
        std::fs::write(folder.path().join(format!("{name}.csv.gz")), bytes)?;
    }
    let dataset = Dataset::open(folder.path())?;
    let session = session(8);
    let found = collect_partitions(&session, frame(&session, &dataset, ReadOptions::default()));
    assert_eq!(found.len(), 3);
    assert_eq!(
        integers(found.iter().flatten(), "id"),
        (0..300).collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn the_compression_can_be_given() -> TestResult {
    use crate::io::{CsvFormat, OpenOptions};
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.dat");
    std::fs::write(&path, compressed(FileCompressionType::GZIP, "id\n7\n"))?;
    let options = OpenOptions::new()
        .with_format(CsvFormat::new())
        .with_compression(FileCompression::Gzip);
    assert_eq!(read(&Dataset::open_with(&path, &options)?, 1)?, [7]);
    let parquet = folder.path().join("x.parquet.gz");
    std::fs::write(&parquet, "")?;
    let error = Dataset::open(&parquet).unwrap_err();
    assert_snapshot!(without_folder(&error, folder.path()), @"read `x.parquet.gz`: parquet and arrow files cannot be read when they are compressed as a whole; decompress the file");
    Ok(())
}

#[test]
fn a_record_without_end_is_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.csv");
    let mut text = b"id\n1\n\"".to_vec();
    text.resize(RECORD_BYTES + (3 << 20), b'x');
    std::fs::write(&path, text)?;
    let error = Dataset::open(&path).unwrap_err();
    assert_snapshot!(without_folder(&error, folder.path()), @"read `x.csv`: line 3 begins a record of more than 32 MiB; look for a quote that is not closed");
    Ok(())
}

#[test]
fn the_index_finds_the_chunk_of_a_row() {
    let mut index = TextIndex::default();
    for row in 0..10 {
        index.add(true, row * CHUNK_BYTES / 4, row + 2);
    }
    assert_eq!(index.rows(), [4, 4, 2]);
    let found = index.find(5).map(|(chunk, before)| (chunk.line, before));
    assert_eq!(found, Some((6, 1)));
    assert_eq!(index.find(10), None);
    let mut whole = TextIndex::default();
    for row in 0..10 {
        whole.add(false, row * CHUNK_BYTES, row);
    }
    assert_eq!(whole.rows(), [10]);
}
