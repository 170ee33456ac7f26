//! MovieLens 1M: a million ratings of 3,706 films by 6,040 users.
//!
//! F. Maxwell Harper and Joseph A. Konstan, *The MovieLens Datasets: History and Context*, ACM
//! Transactions on Interactive Intelligent Systems 5(4), 2015. The set is free for research and may
//! not be passed on: fetch `ml-1m.zip` from <https://grouplens.org/datasets/movielens/1m/>.

mod dat_file;
mod movies;
mod ratings;
#[cfg(test)]
mod tests;
mod users;

use std::path::{Path, PathBuf};

use self::movies::Movies;
use self::ratings::Ratings;
use self::users::Users;
use crate::{Error, Result};

/// The folder of an unpacked MovieLens 1M.
///
/// It holds `users.dat`, `movies.dat` and `ratings.dat` as published: fields separated by `::`,
/// text in Latin-1, genres separated by `|`. In place of `ratings.dat` it may hold
/// `ratings.parquet` with the columns `user_id`, `movie_id`, `rating` (integers or floats without
/// nulls) and `timestamp` (integer, null where unknown); if both are there, `ratings.dat` is read.
///
/// # Example
/// ```
/// use emrys_datasets::movielens::MovieLens1m;
/// # let raw = tempfile::tempdir()?;
/// # let out = tempfile::tempdir()?;
/// # std::fs::write(raw.path().join("users.dat"), "1::F::1::10::48067\n")?;
/// # std::fs::write(raw.path().join("movies.dat"), "9::Sabrina (1995)::Comedy|Romance\n")?;
/// # std::fs::write(raw.path().join("ratings.dat"), "1::9::5::978300760\n")?;
///
/// let tables = MovieLens1m::open(raw.path())?.write_parquet(out.path())?;
/// assert_eq!((tables.rating_rows, tables.user_rows, tables.movie_rows), (1, 1, 1));
/// assert!(tables.movies.ends_with("movies.parquet"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MovieLens1m {
    ratings: RatingsSource,
    users: PathBuf,
    movies: PathBuf,
}

#[derive(Debug, Clone)]
enum RatingsSource {
    Dat(PathBuf),
    Parquet(PathBuf),
}

/// The parquet files of a MovieLens set.
///
/// | file | columns |
/// |---|---|
/// | `ratings.parquet` | `userId`, `movieId` (int64), `rating` (float32, 1 to 5), `timestamp` (int64 seconds, nullable) |
/// | `users.parquet` | `userId` (int64), `gender` (string), `age`, `occupation` (int64 codes), `zipcode` (string) |
/// | `movies.parquet` | `movieId` (int64), `title` (string), `genres` (list of strings) |
///
/// Rows keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovieLensTables {
    /// The ratings, one row each.
    pub ratings: PathBuf,
    /// The users, one row each.
    pub users: PathBuf,
    /// The films, one row each, unrated ones included.
    pub movies: PathBuf,
    /// How many ratings there are.
    pub rating_rows: u64,
    /// How many users there are.
    pub user_rows: u64,
    /// How many films there are.
    pub movie_rows: u64,
}

impl MovieLens1m {
    /// Finds the files of the set in a folder; their contents are read later.
    ///
    /// # Errors
    /// [`Error::MissingFile`] names the first file that is not there.
    pub fn open(folder: impl AsRef<Path>) -> Result<MovieLens1m> {
        let folder = folder.as_ref();
        let find = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let missing = |expected| Error::MissingFile {
            folder: folder.to_owned(),
            expected,
        };

        let ratings = find("ratings.dat")
            .map(RatingsSource::Dat)
            .or_else(|| find("ratings.parquet").map(RatingsSource::Parquet))
            .ok_or_else(|| missing("`ratings.dat` or `ratings.parquet`"))?;
        let users = find("users.dat").ok_or_else(|| missing("`users.dat`"))?;
        let movies = find("movies.dat").ok_or_else(|| missing("`movies.dat`"))?;
        Ok(MovieLens1m {
            ratings,
            users,
            movies,
        })
    }

    /// Writes the set as three parquet files into a folder, which is created if needed.
    ///
    /// Streams: a batch of rows is in memory at a time (and the ids of users and films, to find
    /// doubles). Each file appears under its name when it is whole; older ones are replaced.
    ///
    /// # Errors
    /// - [`Error::FieldCount`], [`Error::BadField`]: a line that is not in the published format.
    /// - [`Error::DuplicateId`]: two lines for one user or film.
    /// - [`Error::MissingColumn`], [`Error::ColumnType`], [`Error::BadValue`]: likewise in
    ///   `ratings.parquet`; also for a rating that is not one to five stars.
    /// - [`Error::EmptyFile`], [`Error::Io`], [`Error::Parquet`], [`Error::Arrow`].
    pub fn write_parquet(&self, folder: impl AsRef<Path>) -> Result<MovieLensTables> {
        let folder = folder.as_ref();
        let ratings = folder.join("ratings.parquet");
        let users = folder.join("users.parquet");
        let movies = folder.join("movies.parquet");
        let rating_rows = match &self.ratings {
            RatingsSource::Dat(path) => dat_file::convert::<Ratings>(path, &ratings)?,
            RatingsSource::Parquet(path) => ratings::convert_parquet(path, &ratings)?,
        };
        let user_rows = dat_file::convert::<Users>(&self.users, &users)?;
        let movie_rows = dat_file::convert::<Movies>(&self.movies, &movies)?;
        Ok(MovieLensTables {
            ratings,
            users,
            movies,
            rating_rows,
            user_rows,
            movie_rows,
        })
    }
}
