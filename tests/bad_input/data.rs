//! Data sets on disk, and outputs.

use std::fs;
use std::path::Path;
use std::process::Command;

use emrys::datasets::movielens::MovieLens1m;
use emrys::datasets::split::RandomSplit;
use emrys::etl::{Dataset, WriteOptions, cols};
use emrys::schema::{ColumnSchema, DType, Schema};

use crate::table::{
    Outcome, batch, case, check, click_columns, clicks, dataset, fitted, floats, integers, longs,
    texts, write,
};

fn open(path: impl AsRef<Path>) -> Outcome {
    Dataset::open(path)?;
    Ok(())
}

fn write_clicks(path: &Path, options: &WriteOptions) -> Outcome {
    fitted(cols(["item", "price"]))?
        .transform(&clicks())?
        .write(path, options)?;
    Ok(())
}

#[test]
fn files() {
    check(&[
        case(
            "nothing at the path",
            |dir| open(dir.join("clicks")),
            "read `[dir]/clicks`: there is no such file or folder",
        ),
        case(
            "a folder without parquet files",
            |dir| open(dir),
            "folder `[dir]`: it holds no data file, such as `*.parquet`, `*.csv`, `*.jsonl` or `*.arrow` (subfolders other than `key=value` and names that begin with `.` or `_` are not read); name the files or another folder, or give their format",
        ),
        case(
            "a pattern that nothing matches",
            |dir| open(dir.join("day_*.parquet")),
            "pattern `[dir]/day_*.parquet`: no file matches it",
        ),
        case(
            "no pattern",
            |_| open("no_such_folder/day_[.parquet"),
            "read `no_such_folder/day_[.parquet`: not a valid pattern at character 19: invalid range pattern",
        ),
        case(
            "no files",
            |_| {
                Dataset::from_paths(Vec::<&str>::new())?;
                Ok(())
            },
            "data set: the list of files is empty; name at least one",
        ),
        case(
            "a file of 0 bytes",
            |dir| {
                fs::write(dir.join("a.parquet"), "")?;
                open(dir)
            },
            "read `[dir]/a.parquet`: the file is empty (0 bytes); write it again or leave it out",
        ),
        case(
            "a file of text",
            |dir| {
                fs::write(dir.join("a.parquet"), "user,item\nada,10\n")?;
                open(dir)
            },
            "read `[dir]/a.parquet`: it is not a parquet file, or it is cut off (its last bytes are not `PAR1`)",
        ),
        case(
            "a file that was cut off",
            |dir| {
                let path = write(dir.join("a.parquet"), click_columns());
                let bytes = fs::read(&path)?;
                fs::write(&path, &bytes[..bytes.len() / 2])?;
                open(dir)
            },
            "read `[dir]/a.parquet`: it is not a parquet file, or it is cut off (its last bytes are not `PAR1`)",
        ),
        case(
            "a footer that is no footer",
            |dir| {
                let path = write(dir.join("a.parquet"), click_columns());
                let mut bytes = fs::read(&path)?;
                let end = bytes.len() - 8;
                bytes[end - 200..end].fill(0xff);
                fs::write(&path, bytes)?;
                open(dir)
            },
            "read `[dir]/a.parquet`: it is corrupt or no parquet file; write or copy it again: External: invalid utf-8 sequence of 1 bytes from index 251",
        ),
        case(
            "pages that are corrupt",
            |dir| {
                let path = write(dir.join("a.parquet"), click_columns());
                let mut bytes = fs::read(&path)?;
                bytes[4..60].fill(0xff);
                fs::write(&path, bytes)?;
                fitted(cols(["user", "item"]))?
                    .transform(&Dataset::open(dir)?)?
                    .collect()?;
                Ok(())
            },
            "read `[dir]/a.parquet`: row group 0 is damaged (Parquet argument error: Parquet error: Unexpected struct field type 15); write the file again or leave it out",
        ),
        case(
            "a file that vanishes after opening",
            |dir| {
                let path = write(dir.join("a.parquet"), click_columns());
                let data = Dataset::open(dir)?;
                fs::remove_file(path)?;
                fitted(cols(["user", "item"]))?
                    .transform(&data)?
                    .collect()?;
                Ok(())
            },
            "read `[dir]/a.parquet`: No such file or directory (os error 2)",
        ),
        case(
            "a column of another type in one file",
            |dir| {
                write(dir.join("day_1.parquet"), vec![("price", floats([1.0]))]);
                write(dir.join("day_2.parquet"), vec![("price", texts(["1.0"]))]);
                open(dir)
            },
            "files of one data set differ: column `price` is float32 in `[dir]/day_1.parquet` but string in `[dir]/day_2.parquet`; cast it, or leave one of the files out",
        ),
        case(
            "a column that one file lacks",
            |dir| {
                write(
                    dir.join("day_1.parquet"),
                    vec![("item", longs([1])), ("price", floats([1.0]))],
                );
                write(dir.join("day_2.parquet"), vec![("item", longs([1]))]);
                open(dir)
            },
            "files of one data set differ: column `price` is float32 in `[dir]/day_1.parquet` but missing in `[dir]/day_2.parquet`; cast it, or leave one of the files out",
        ),
        case(
            "a column that one file has more",
            |dir| {
                write(dir.join("day_1.parquet"), vec![("item", longs([1]))]);
                write(
                    dir.join("day_2.parquet"),
                    vec![("item", longs([1])), ("price", floats([1.0]))],
                );
                open(dir)
            },
            "files of one data set differ: column `price` is missing in `[dir]/day_1.parquet` but float32 in `[dir]/day_2.parquet`; cast it, or leave one of the files out",
        ),
        case(
            "batches of other columns than declared",
            |_| {
                let declared = batch(vec![("item", longs([1]))]).schema();
                Dataset::from_batches(declared, vec![batch(vec![("item", texts(["1"]))])])?;
                Ok(())
            },
            "data set: batch 0 has the columns item string, but the declared ones are item int64; let all batches have the declared ones",
        ),
        case(
            "a given schema with a column that is not there",
            |_| {
                clicks().with_schema(&Schema::new([ColumnSchema::new("itm", DType::Int64)])?)?;
                Ok(())
            },
            "schema of the data set: column `itm` is not in the input; did you mean `item`? (input: user, item, price, clicked)",
        ),
        case(
            "a given schema with another type",
            |_| {
                clicks().with_schema(&Schema::new([ColumnSchema::new("item", DType::String)])?)?;
                Ok(())
            },
            "schema of the data set: column `item` is int64 in the data, but the given schema says string; cast the data or correct the schema",
        ),
        case(
            "a broken schema beside the files",
            |dir| {
                write(dir.join("a.parquet"), click_columns());
                fs::write(dir.join("schema.pbtxt"), "feature {\n  name: \"user\n}\n")?;
                open(dir)
            },
            "`[dir]/schema.pbtxt`, line 2, column 9: the string that begins here is not closed",
        ),
    ]);
}

#[test]
fn outputs() {
    check(&[
        case(
            "an output that is there",
            |dir| {
                write_clicks(&dir.join("out"), &WriteOptions::new())?;
                write_clicks(&dir.join("out"), &WriteOptions::new())
            },
            "write `[dir]/out`: it exists already; choose another folder or allow overwriting",
        ),
        case(
            "overwriting what is not ours",
            |dir| {
                fs::create_dir(dir.join("out"))?;
                fs::write(dir.join("out/diary.txt"), "dear")?;
                write_clicks(&dir.join("out"), &WriteOptions::new().with_overwrite(true))
            },
            "overwrite `[dir]/out`: the folder holds files but no `_emrys.json`, so it was not written by emrys; choose another folder or delete it yourself",
        ),
        case(
            "a file in the way",
            |dir| {
                fs::write(dir.join("out"), "")?;
                write_clicks(&dir.join("out"), &WriteOptions::new())
            },
            "write `[dir]/out`: a file of this name exists, a folder is to be written; choose another name",
        ),
        case(
            "a folder that cannot be made",
            |dir| {
                fs::write(dir.join("file"), "")?;
                write_clicks(&dir.join("file/out"), &WriteOptions::new())
            },
            "create `[dir]/file`: File exists (os error 17)",
        ),
        case(
            "row groups of no rows",
            |dir| {
                write_clicks(
                    &dir.join("out"),
                    &WriteOptions::new().with_row_group_rows(0),
                )
            },
            "write: `row_group_rows` is 0, but at least 1 is needed",
        ),
        case(
            "an output with a file less",
            |dir| {
                let out = dir.join("out");
                write_clicks(&out, &WriteOptions::new())?;
                fs::rename(
                    out.join("part_00000.parquet"),
                    out.join("part_00001.parquet"),
                )?;
                open(&out)
            },
            "load `[dir]/out`: `part_00001.parquet` is not in the manifest `_emrys.json`; move it elsewhere, or delete the manifest to read all files",
        ),
        case(
            "an output with a file more",
            |dir| {
                let out = dir.join("out");
                write_clicks(&out, &WriteOptions::new())?;
                fs::copy(
                    out.join("part_00000.parquet"),
                    out.join("part_00001.parquet"),
                )?;
                open(&out)
            },
            "load `[dir]/out`: `part_00001.parquet` is not in the manifest `_emrys.json`; move it elsewhere, or delete the manifest to read all files",
        ),
        case(
            "an output whose writer was killed",
            |dir| {
                write(dir.join("a.parquet"), click_columns());
                fs::write(dir.join("_incomplete"), "")?;
                open(dir)
            },
            "read `[dir]`: it is the unfinished output of an interrupted run; run it again",
        ),
    ]);
}

/// A file system of 256 KiB in a folder, gone with the value; `None` if it cannot be mounted.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(folder: &Path) -> Option<SmallDisk<'_>> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(folder)
            .output();
        mounted
            .is_ok_and(|mount| mount.status.success())
            .then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_full_disk() {
    let probe = tempfile::tempdir().expect("a folder");
    if SmallDisk::mount(probe.path()).is_none() {
        eprintln!("skipped: no right to mount a small disk (run as root with CAP_SYS_ADMIN)");
        return;
    }
    check(&[
        case(
            "an output that does not fit on the disk",
            |dir| {
                let _disk = SmallDisk::mount(dir);
                // Numbers that compress badly.
                let numbers =
                    (0..200_000_i64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64));
                let data = dataset(vec![("item", longs(numbers))]);
                let workflow = emrys::etl::Workflow::new(cols(["item"])).fit(&data)?;
                workflow
                    .transform(&data)?
                    .write(dir.join("out"), &WriteOptions::new())?;
                Ok(())
            },
            "write `[dir]/out`: the disk is full; free some space or choose another disk",
        ),
        case(
            "an output that does not fit leaves nothing",
            |dir| {
                let _disk = SmallDisk::mount(dir);
                let numbers =
                    (0..200_000_i64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64));
                let data = dataset(vec![("item", longs(numbers))]);
                let workflow = emrys::etl::Workflow::new(cols(["item"])).fit(&data)?;
                let written = workflow
                    .transform(&data)?
                    .write(dir.join("out"), &WriteOptions::new());
                assert!(written.is_err());
                let left: Vec<_> = fs::read_dir(dir)?.collect();
                assert!(left.is_empty(), "{left:?}");
                Ok(())
            },
            "no error",
        ),
    ]);
}

/// Converts a MovieLens folder with the given ratings.
fn ratings(dir: &Path, lines: &str) -> Outcome {
    fs::write(dir.join("users.dat"), "1::F::1::10::48067\n")?;
    fs::write(
        dir.join("movies.dat"),
        "9::Sabrina (1995)::Comedy|Romance\n",
    )?;
    fs::write(dir.join("ratings.dat"), lines)?;
    MovieLens1m::open(dir)?.write_parquet(dir.join("out"))?;
    Ok(())
}

#[test]
fn public_data_sets() {
    check(&[
        case(
            "a rating with a field less",
            |dir| ratings(dir, "1::9::5::978300760\n1::9::5\n"),
            "`[dir]/ratings.dat`, line 2: found 3 fields, expected 4: UserID::MovieID::Rating::Timestamp",
        ),
        case(
            "a rating that is no number",
            |dir| ratings(dir, "1::9::five::978300760\n"),
            "`[dir]/ratings.dat`, line 1: Rating is `five`, expected a whole number of stars from 1 to 5",
        ),
        case(
            "a rating of six stars",
            |dir| ratings(dir, "1::9::6::978300760\n"),
            "`[dir]/ratings.dat`, line 1: Rating is `6`, expected a whole number of stars from 1 to 5",
        ),
        case(
            "no ratings",
            |dir| ratings(dir, ""),
            "`[dir]/ratings.dat` has no rows; the file may have been cut off when it was fetched",
        ),
        case(
            "no files of MovieLens",
            |dir| {
                MovieLens1m::open(dir)?;
                Ok(())
            },
            "`[dir]` has no `ratings.dat` or `ratings.parquet`; give the folder of the unpacked data set",
        ),
        case(
            "a ratings.parquet without a column",
            |dir| {
                ratings(dir, "1::9::5::978300760\n")?;
                fs::remove_file(dir.join("ratings.dat"))?;
                write(
                    dir.join("ratings.parquet"),
                    vec![("user_id", longs([1])), ("rating", integers([5]))],
                );
                MovieLens1m::open(dir)?.write_parquet(dir.join("out"))?;
                Ok(())
            },
            "`[dir]/ratings.parquet` has no column `movie_id` (columns: user_id, rating)",
        ),
        case(
            "a split that holds out everything",
            |_| {
                RandomSplit::new(1.0, 42)?;
                Ok(())
            },
            "valid_fraction is 1, expected more than 0 and less than 1",
        ),
    ]);
}
