//! How specs are put together: [`Compose`].

use crate::blocks::{Branch, Filter, Parallel, Residual, Sequential, Shortcut};
use crate::{Activation, Spec};

/// Ways to put blocks together, on everything that is or becomes a [`Spec`].
///
/// All of them are pure: they return a new spec and leave their parts as they are.
///
/// # Example
/// ```
/// use emrys_models::Compose;
/// use emrys_models::blocks::{Concat, ContinuousFeatures, Mlp};
///
/// let bottom = ContinuousFeatures::new().connect(Concat::new()).connect(Mlp::new([64, 32]));
/// let towers = bottom.connect_branch([Mlp::new([256, 64]), Mlp::new([128, 64])]);
/// # let _ = towers;
/// ```
pub trait Compose: Into<Spec> {
    /// `self`, then `next`.
    fn connect(self, next: impl Into<Spec>) -> Sequential {
        Sequential::new([self.into()]).then(next)
    }

    /// `self`, then all `branches` side by side; the result is a dictionary that aggregates such
    /// as [`Concat`](crate::blocks::Concat) put together.
    ///
    /// Branches are blocks, or pairs of a name and a block; see [`Parallel`].
    fn connect_branch(self, branches: impl IntoIterator<Item = impl Into<Branch>>) -> Sequential {
        self.connect(Parallel::new(branches))
    }

    /// `self`, then a dictionary of what `block` gives and of those inputs of `block` that
    /// `filter` keeps; see [`Shortcut`].
    fn connect_with_shortcut(self, block: impl Into<Spec>, filter: Filter) -> Sequential {
        self.connect(Shortcut::new(block).with_filter(filter))
    }

    /// `self`, then the sum of what `block` gives and of its input; see [`Residual`].
    fn connect_with_residual(self, block: impl Into<Spec>, activation: Activation) -> Sequential {
        self.connect(Residual::new(block).with_activation(activation))
    }

    /// The same block under a name of its own: the name of its branch, and part of the paths of
    /// errors and parameters.
    fn named(self, name: impl Into<String>) -> Spec {
        self.into().with_name(name.into())
    }
}

impl<T: Into<Spec>> Compose for T {}
