//! Burn's `Module` for boxed blocks.
//!
//! Visitors and mappers of Burn have methods that are generic over the rank of a tensor, so a
//! `dyn Module` cannot exist. A boxed block crosses that border twice: the block hands each
//! parameter, its rank erased, to an object-safe visitor, which restores the rank and hands it to
//! the visitor that Burn gave us.

use std::any::Any;
use std::fmt::Debug;

use burn::module::{
    Content, Devices, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param,
};
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::{Block, BoxedBlock, Pass, Result, Value};

/// The object-safe form of [`Block`].
pub(crate) trait ErasedBlock: Debug + Send + Sync {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value>;
    fn part(&self, name: &str) -> Option<&BoxedBlock>;
    fn visit(&self, visitor: &mut dyn ErasedVisitor);
    fn map(self: Box<Self>, mapper: &mut dyn ErasedMapper) -> Box<dyn ErasedBlock>;
    fn collect_devices(&self, devices: Devices) -> Devices;
    fn fork(self: Box<Self>, device: &Device) -> Box<dyn ErasedBlock>;
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn ErasedBlock>;
    fn train(self: Box<Self>) -> Box<dyn ErasedBlock>;
    fn valid(&self) -> Box<dyn ErasedBlock>;
    fn materialize(self: Box<Self>) -> Box<dyn ErasedBlock>;
    fn clone_box(&self) -> Box<dyn ErasedBlock>;
}

impl Clone for Box<dyn ErasedBlock> {
    fn clone(&self) -> Self {
        self.as_ref().clone_box()
    }
}

impl<B: Block> ErasedBlock for B {
    fn forward(&self, input: Value, pass: &Pass) -> Result<Value> {
        Block::forward(self, input, pass)
    }

    fn part(&self, name: &str) -> Option<&BoxedBlock> {
        Block::part(self, name)
    }

    fn visit(&self, visitor: &mut dyn ErasedVisitor) {
        Module::visit(self, &mut Erase(visitor));
    }

    fn map(self: Box<Self>, mapper: &mut dyn ErasedMapper) -> Box<dyn ErasedBlock> {
        Box::new(Module::map(*self, &mut Erase(mapper)))
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        Module::collect_devices(self, devices)
    }

    fn fork(self: Box<Self>, device: &Device) -> Box<dyn ErasedBlock> {
        Box::new(Module::fork(*self, device))
    }

    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn ErasedBlock> {
        Box::new(Module::to_device(*self, device))
    }

    fn train(self: Box<Self>) -> Box<dyn ErasedBlock> {
        Box::new(Module::train(*self))
    }

    fn valid(&self) -> Box<dyn ErasedBlock> {
        Box::new(Module::valid(self))
    }

    fn materialize(self: Box<Self>) -> Box<dyn ErasedBlock> {
        Box::new(Module::materialize(*self))
    }

    fn clone_box(&self) -> Box<dyn ErasedBlock> {
        Box::new(self.clone())
    }
}

impl Module for BoxedBlock {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.inner.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        BoxedBlock {
            inner: self.inner.fork(device),
        }
    }

    fn to_device(self, device: &Device) -> Self {
        BoxedBlock {
            inner: self.inner.to_device(device),
        }
    }

    fn train(self) -> Self {
        BoxedBlock {
            inner: self.inner.train(),
        }
    }

    fn valid(&self) -> Self {
        BoxedBlock {
            inner: self.inner.valid(),
        }
    }

    fn materialize(self) -> Self {
        BoxedBlock {
            inner: self.inner.materialize(),
        }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.inner.visit(&mut Restore(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        BoxedBlock {
            inner: self.inner.map(&mut Restore(mapper)),
        }
    }
}

impl ModuleDisplayDefault for BoxedBlock {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .add_formatted(&format!("{:?}", self.inner))
            .optional()
    }
}

impl ModuleDisplay for BoxedBlock {}

/// A parameter whose rank is known at run time only; `value` is a `Param<Tensor<rank, K>>`.
pub(crate) struct ParamRef<'a> {
    rank: usize,
    value: &'a dyn Any,
}

impl<'a> ParamRef<'a> {
    fn new<const D: usize>(value: &'a impl Any) -> ParamRef<'a> {
        const { check_rank(D) };
        ParamRef { rank: D, value }
    }
}

/// The owned form of [`ParamRef`].
pub(crate) struct OwnedParam {
    rank: usize,
    value: Box<dyn Any>,
}

impl OwnedParam {
    fn new<const D: usize>(value: impl Any) -> OwnedParam {
        const { check_rank(D) };
        OwnedParam {
            rank: D,
            value: Box::new(value),
        }
    }

    fn into<T: Any>(self) -> T {
        *self
            .value
            .downcast()
            .expect("a mapper keeps rank and kind of a parameter")
    }
}

/// The object-safe form of `ModuleVisitor`.
pub(crate) trait ErasedVisitor {
    fn visit_float(&mut self, param: ParamRef<'_>);
    fn visit_int(&mut self, param: ParamRef<'_>);
    fn visit_bool(&mut self, param: ParamRef<'_>);
    fn visit_flag(&mut self, flag: &Param<Flag>);
    fn enter_module(&mut self, name: &str, container_type: &str);
    fn exit_module(&mut self, name: &str, container_type: &str);
}

/// The object-safe form of `ModuleMapper`.
pub(crate) trait ErasedMapper {
    fn map_float(&mut self, param: OwnedParam) -> OwnedParam;
    fn map_int(&mut self, param: OwnedParam) -> OwnedParam;
    fn map_bool(&mut self, param: OwnedParam) -> OwnedParam;
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag>;
    fn enter_module(&mut self, name: &str, container_type: &str);
    fn exit_module(&mut self, name: &str, container_type: &str);
}

/// Gives a block the visitor or mapper it expects, erasing the rank of each parameter.
struct Erase<'a, T: ?Sized>(&'a mut T);

impl ModuleVisitor for Erase<'_, dyn ErasedVisitor + '_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.visit_float(ParamRef::new::<D>(param));
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.0.visit_int(ParamRef::new::<D>(param));
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.0.visit_bool(ParamRef::new::<D>(param));
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0.visit_flag(flag);
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.0.enter_module(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.0.exit_module(name, container_type);
    }
}

impl ModuleMapper for Erase<'_, dyn ErasedMapper + '_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0.map_float(OwnedParam::new::<D>(param)).into()
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.0.map_int(OwnedParam::new::<D>(param)).into()
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.0.map_bool(OwnedParam::new::<D>(param)).into()
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.0.map_flag(flag)
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.0.enter_module(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.0.exit_module(name, container_type);
    }
}

/// Gives Burn's visitor or mapper each parameter with its rank restored.
struct Restore<'a, T>(&'a mut T);

/// The greatest rank of a parameter, as in Burn's own dispatch by rank.
const MAX_RANK: usize = 8;

/// Refuses, while a program is compiled, a block with a parameter of a greater rank.
const fn check_rank(rank: usize) {
    assert!(
        rank <= MAX_RANK,
        "the parameters of a block have ranks of at most 8; reshape them in `forward`"
    );
}

/// Runs `$body` with `$rank` as the constant `$D`.
///
/// Every rank costs a copy of all code of each visitor, so the list ends at [`MAX_RANK`]. Up to
/// there Burn makes the copies anyway.
macro_rules! with_rank {
    ($rank:expr, $D:ident => $body:expr) => {
        with_rank!(@arms $rank, $D => $body; 0 1 2 3 4 5 6 7 8)
    };
    (@arms $rank:expr, $D:ident => $body:expr; $($n:literal)*) => {
        match $rank {
            $($n => { const $D: usize = $n; $body })*
            rank => unreachable!("a parameter of rank {rank} does not compile"),
        }
    };
}

impl<V: ModuleVisitor> ErasedVisitor for Restore<'_, V> {
    fn visit_float(&mut self, param: ParamRef<'_>) {
        with_rank!(param.rank, D => self.0.visit_float::<D>(restore(param.value)));
    }

    fn visit_int(&mut self, param: ParamRef<'_>) {
        with_rank!(param.rank, D => self.0.visit_int::<D>(restore(param.value)));
    }

    fn visit_bool(&mut self, param: ParamRef<'_>) {
        with_rank!(param.rank, D => self.0.visit_bool::<D>(restore(param.value)));
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0.visit_flag(flag);
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.0.enter_module(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.0.exit_module(name, container_type);
    }
}

fn restore<T: Any>(value: &dyn Any) -> &T {
    value
        .downcast_ref()
        .expect("the rank was taken from the parameter")
}

impl<M: ModuleMapper> ErasedMapper for Restore<'_, M> {
    fn map_float(&mut self, param: OwnedParam) -> OwnedParam {
        with_rank!(param.rank, D => OwnedParam::new::<D>(self.0.map_float::<D>(param.into())))
    }

    fn map_int(&mut self, param: OwnedParam) -> OwnedParam {
        with_rank!(param.rank, D => OwnedParam::new::<D>(self.0.map_int::<D>(param.into())))
    }

    fn map_bool(&mut self, param: OwnedParam) -> OwnedParam {
        with_rank!(param.rank, D => OwnedParam::new::<D>(self.0.map_bool::<D>(param.into())))
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.0.map_flag(flag)
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.0.enter_module(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.0.exit_module(name, container_type);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Module)]
    struct Volumes {
        kernel: Param<Tensor<5>>,
    }

    impl Block for Volumes {
        fn forward(&self, input: Value, _: &Pass) -> Result<Value> {
            Ok(input)
        }
    }

    struct Doubled;

    impl ModuleMapper for Doubled {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor * 2.0)
        }
    }

    #[derive(Default)]
    struct Sum(f32);

    impl ModuleVisitor for Sum {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 += param.val().sum().into_scalar::<f32>();
        }
    }

    #[test]
    fn parameters_of_high_rank_are_visited_and_mapped() {
        let kernel = Tensor::ones([1, 1, 1, 2, 3], &Device::default());
        let block = BoxedBlock::new(Volumes {
            kernel: Param::from_tensor(kernel),
        });
        let mut sum = Sum::default();
        block.map(&mut Doubled).visit(&mut sum);
        assert_eq!(sum.0, 12.0);
    }
}
