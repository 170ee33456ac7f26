//! The hidden truth behind a click log: who likes what, and how often it is seen.

use rand::Rng;
use rand::seq::{SliceRandom, index};
use rand_distr::{Distribution, StandardNormal};

/// Tastes and traits have this many dimensions: few enough to be learned from some hundred rows.
const DIMS: usize = 3;
const CITIES: u32 = 40;
const CATEGORIES: u32 = 24;
const TAGS: usize = 30;

/// The devices of impressions.
pub(super) const DEVICES: [&str; 3] = ["desktop", "phone", "tablet"];
/// How often each device occurs, and what it adds to the log-odds of a click.
const DEVICE_SHARES: [f64; 3] = [0.35, 0.55, 0.10];
const DEVICE_EFFECTS: [f64; 3] = [-0.4, 0.3, 0.0];

/// What each effect's standard deviation is, in log-odds. Together they make clicks predictable to an
/// AUC near 0.85: hard enough to be a task, far enough from 0.5 that learning shows.
const AFFINITY: f64 = 1.7;
const USER_EFFECT: f64 = 0.4;
const ITEM_EFFECT: f64 = 0.6;
const TAG_EFFECT: f64 = 0.5;
const PRICE_EFFECT: f64 = -0.4;
const SESSION_EFFECT: f64 = 0.5;
/// The log-odds of the average impression: about one click in four.
const BIAS: f64 = -1.4;

/// The share of a taste's variance that all users of a city have in common, and of a trait's that all
/// items of a category have.
const SHARED_TASTE: f64 = 0.5;
const SHARED_TRAIT: f64 = 0.5;

const NULL_SESSIONS: f64 = 0.10;
const NULL_PRICES: f64 = 0.05;

type Vector = [f64; DIMS];

pub(super) struct User {
    pub(super) id: String,
    pub(super) city: usize,
    taste: Vector,
    effect: f64,
}

pub(super) struct Item {
    pub(super) id: i64,
    pub(super) category: usize,
    pub(super) tags: Vec<usize>,
    pub(super) price: f64,
    traits: Vector,
    /// Everything about the item that does not depend on the user.
    effect: f64,
}

/// One item shown to one user.
pub(super) struct Impression {
    pub(super) user: usize,
    pub(super) item: usize,
    pub(super) device: usize,
    pub(super) session_seconds: Option<f64>,
    pub(super) price_shown: bool,
}

/// All users and items.
pub(super) struct World {
    pub(super) users: Vec<User>,
    pub(super) items: Vec<Item>,
    user_popularity: Popularity,
    item_popularity: Popularity,
    device_popularity: Popularity,
}

impl World {
    pub(super) fn draw(users: u32, items: u32, rng: &mut impl Rng) -> World {
        World {
            users: draw_users(users, rng),
            items: draw_items(items, rng),
            user_popularity: Popularity::zipf(users, 0.6),
            item_popularity: Popularity::zipf(items, 0.9),
            device_popularity: Popularity::new(DEVICE_SHARES),
        }
    }

    /// Draws who sees what, and how.
    pub(super) fn impression(&self, rng: &mut impl Rng) -> Impression {
        Impression {
            user: self.user_popularity.draw(rng),
            item: self.item_popularity.draw(rng),
            device: self.device_popularity.draw(rng),
            session_seconds: (!rng.random_bool(NULL_SESSIONS))
                .then(|| (4.0 + 1.2 * normal(rng)).exp()),
            price_shown: !rng.random_bool(NULL_PRICES),
        }
    }

    /// The probability of a click. A session whose length is not known has no effect, so nothing that
    /// the log hides from a model matters.
    pub(super) fn probability(&self, impression: &Impression) -> f64 {
        let user = &self.users[impression.user];
        let item = &self.items[impression.item];
        let session = impression
            .session_seconds
            .map_or(0.0, |seconds| (seconds.ln() - 4.0) / 1.2);
        let log_odds = BIAS
            + AFFINITY * dot(&user.taste, &item.traits)
            + user.effect
            + item.effect
            + DEVICE_EFFECTS[impression.device]
            + SESSION_EFFECT * session;
        1.0 / (1.0 + (-log_odds).exp())
    }
}

fn draw_users(count: u32, rng: &mut impl Rng) -> Vec<User> {
    let cities = Popularity::zipf(CITIES, 0.8);
    let city_tastes: Vec<Vector> = (0..CITIES).map(|_| normals(rng)).collect();
    shuffled_numbers(count, rng)
        .into_iter()
        .map(|number| {
            let city = cities.draw(rng);
            User {
                id: format!("u{number:07}"),
                city,
                taste: mix(&city_tastes[city], SHARED_TASTE, rng),
                effect: USER_EFFECT * normal(rng),
            }
        })
        .collect()
}

fn draw_items(count: u32, rng: &mut impl Rng) -> Vec<Item> {
    let categories = Popularity::zipf(CATEGORIES, 0.8);
    let category_traits: Vec<Vector> = (0..CATEGORIES).map(|_| normals(rng)).collect();
    let tag_effects: Vec<f64> = (0..TAGS).map(|_| normal(rng)).collect();
    shuffled_numbers(count, rng)
        .into_iter()
        .map(|number| {
            let category = categories.draw(rng);
            let tag_count = rng.random_range(0..=4);
            let tags = index::sample(rng, TAGS, tag_count).into_vec();
            let log_price = normal(rng);
            // The sum of n effects has variance n; the mean number of tags is two.
            let tag_effect: f64 =
                tags.iter().map(|tag| tag_effects[*tag]).sum::<f64>() / 2f64.sqrt();
            Item {
                // Numbers far beyond the count, with gaps.
                id: 100_000 + 37 * i64::from(number),
                category,
                tags,
                price: (3.0 + log_price).exp(),
                traits: mix(&category_traits[category], SHARED_TRAIT, rng),
                effect: ITEM_EFFECT * normal(rng)
                    + TAG_EFFECT * tag_effect
                    + PRICE_EFFECT * log_price,
            }
        })
        .collect()
}

/// The numbers below `count` in random order: popularity must not show in an id.
fn shuffled_numbers(count: u32, rng: &mut impl Rng) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count).collect();
    numbers.shuffle(rng);
    numbers
}

/// A vector whose variance comes from `shared` to the given share, and else from itself.
fn mix(shared: &Vector, share: f64, rng: &mut impl Rng) -> Vector {
    let own: Vector = normals(rng);
    std::array::from_fn(|i| share.sqrt() * shared[i] + (1.0 - share).sqrt() * own[i])
}

/// The inner product, scaled to variance one for independent normal vectors.
fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (DIMS as f64).sqrt()
}

fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn normals(rng: &mut impl Rng) -> Vector {
    std::array::from_fn(|_| normal(rng))
}

/// A distribution over `0..n` with given weights.
struct Popularity {
    /// Running sums of the weights.
    cumulated: Vec<f64>,
}

impl Popularity {
    fn new(weights: impl IntoIterator<Item = f64>) -> Popularity {
        let mut sum = 0.0;
        let cumulated = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Popularity {
            cumulated: cumulated.collect(),
        }
    }

    /// Weights that fall as a power of the rank. The shift by two keeps the first ranks from taking
    /// most of the mass.
    fn zipf(count: u32, exponent: f64) -> Popularity {
        Popularity::new((0..count).map(|rank| (f64::from(rank) + 3.0).powf(-exponent)))
    }

    fn draw(&self, rng: &mut impl Rng) -> usize {
        let last = self.cumulated.len() - 1;
        let point = rng.random::<f64>() * self.cumulated[last];
        self.cumulated
            .partition_point(|sum| *sum <= point)
            .min(last)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn popularity_follows_its_weights() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let popularity = Popularity::new([1.0, 2.0, 0.0, 1.0]);
        let mut counts = [0u32; 4];
        for _ in 0..40_000 {
            counts[popularity.draw(&mut rng)] += 1;
        }
        assert_eq!(counts[2], 0);
        for (count, expected) in counts.into_iter().zip([10_000u32, 20_000, 0, 10_000]) {
            assert!(count.abs_diff(expected) < 500, "{counts:?}");
        }
    }

    #[test]
    fn ids_do_not_tell_popularity() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let world = World::draw(1_000, 1_000, &mut rng);
        let head: i64 = world.items[..100].iter().map(|item| item.id).sum();
        let tail: i64 = world.items[900..].iter().map(|item| item.id).sum();
        assert!(head.abs_diff(tail) < 100 * 37 * 150, "{head} {tail}");
    }

    #[test]
    fn affinity_explains_most_of_the_log_odds() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let world = World::draw(500, 500, &mut rng);
        let (mut affinity, mut rest) = (0.0, 0.0);
        for user in &world.users {
            for item in &world.items {
                affinity += (AFFINITY * dot(&user.taste, &item.traits)).powi(2);
                rest += (user.effect + item.effect).powi(2);
            }
        }
        assert!(affinity > 2.0 * rest, "{affinity} {rest}");
    }
}
