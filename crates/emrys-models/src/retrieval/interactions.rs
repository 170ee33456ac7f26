//! Who has seen what.

use std::ops::Range;

use emrys_loader::Loader;
use rayon::slice::ParallelSliceMut;

use crate::Result;
use crate::loading::in_file_order;
use crate::tasks::item_ids;

/// The distinct items of each user.
///
/// # Memory
/// 16 bytes a row while it is made, 8 bytes for each distinct pair afterwards.
///
/// # Example
/// ```
/// use emrys_models::retrieval::Interactions;
///
/// let seen = Interactions::new(vec![(2, 30), (1, 10), (2, 20), (2, 30)]);
/// assert_eq!(seen.items(2), [20, 30]);
/// assert_eq!(seen.items(99), [] as [i64; 0]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interactions {
    /// Rising.
    users: Vec<i64>,
    /// Where each user's items begin, and where the last one's end.
    starts: Vec<usize>,
    /// Rising for each user.
    items: Vec<i64>,
}

impl Interactions {
    /// Of pairs of user and item, in any order.
    pub fn new(mut pairs: Vec<(i64, i64)>) -> Self {
        pairs.par_sort_unstable();
        pairs.dedup();
        let mut interactions = Self {
            items: Vec::with_capacity(pairs.len()),
            ..Self::default()
        };
        for (user, item) in pairs {
            if interactions.users.last() != Some(&user) {
                interactions.users.push(user);
                interactions.starts.push(interactions.items.len());
            }
            interactions.items.push(item);
        }
        interactions.starts.push(interactions.items.len());
        interactions
    }

    /// Reads two columns of ids in one pass over a data set, whatever order the loader is set to.
    ///
    /// # Errors
    /// A column is missing, does not hold one integer a row, or cannot be read.
    pub fn read(loader: &Loader, user_id: &str, item_id: &str) -> Result<Self> {
        let mut pairs = Vec::with_capacity(loader.num_rows());
        for batch in in_file_order(loader, [user_id, item_id], Vec::new())?.epoch(0)? {
            let batch = batch?;
            let users = item_ids(&batch, "interactions", user_id)?;
            let items = item_ids(&batch, "interactions", item_id)?;
            pairs.extend(users.into_iter().zip(items));
        }
        Ok(Self::new(pairs))
    }

    /// The items of a user, rising; none for a user who is not there.
    pub fn items(&self, user: i64) -> &[i64] {
        let span: Range<usize> = match self.users.binary_search(&user) {
            Ok(index) => self.starts[index]..self.starts[index + 1],
            Err(_) => 0..0,
        };
        &self.items[span]
    }

    /// The users, rising.
    pub fn users(&self) -> &[i64] {
        &self.users
    }

    /// How many distinct pairs there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_and_counted_once() {
        let pairs = vec![(5, 1 << 40), (-1, 7), (5, 2), (5, 1 << 40)];
        let interactions = Interactions::new(pairs);
        assert_eq!(interactions.users(), [-1, 5]);
        assert_eq!(interactions.items(5), [2, 1 << 40]);
        assert_eq!(interactions.items(-1), [7]);
        assert_eq!(interactions.len(), 3);
    }

    #[test]
    fn nobody_has_seen_anything() {
        let interactions = Interactions::new(Vec::new());
        assert!(interactions.is_empty() && interactions.users().is_empty());
        assert_eq!(interactions.items(1), [] as [i64; 0]);
    }
}
