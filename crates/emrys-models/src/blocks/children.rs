//! Named blocks inside a block, as a Burn module.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;

use crate::BoxedBlock;

/// Blocks in order, each under a name, which is its part of the paths of parameters.
#[derive(Debug, Clone)]
pub(crate) struct Children {
    blocks: Vec<(String, BoxedBlock)>,
}

impl Children {
    pub(crate) fn new(blocks: Vec<(String, BoxedBlock)>) -> Children {
        Children { blocks }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &BoxedBlock)> {
        self.blocks
            .iter()
            .map(|(name, block)| (name.as_str(), block))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&BoxedBlock> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, block)| block)
    }

    fn each(self, change: impl Fn(BoxedBlock) -> BoxedBlock) -> Children {
        let blocks = self
            .blocks
            .into_iter()
            .map(|(name, block)| (name, change(block)))
            .collect();
        Children { blocks }
    }
}

impl Module for Children {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.blocks.iter().fold(devices, |devices, (_, block)| {
            block.collect_devices(devices)
        })
    }

    fn fork(self, device: &Device) -> Self {
        self.each(|block| block.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.each(|block| block.to_device(device))
    }

    fn train(self) -> Self {
        self.each(BoxedBlock::train)
    }

    fn valid(&self) -> Self {
        let blocks = self
            .blocks
            .iter()
            .map(|(name, block)| (name.clone(), block.valid()))
            .collect();
        Children { blocks }
    }

    fn materialize(self) -> Self {
        self.each(BoxedBlock::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (name, block) in &self.blocks {
            visitor.enter_module(name, "Vec");
            block.visit(visitor);
            visitor.exit_module(name, "Vec");
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let blocks = self
            .blocks
            .into_iter()
            .map(|(name, block)| {
                mapper.enter_module(&name, "Vec");
                let block = block.map(mapper);
                mapper.exit_module(&name, "Vec");
                (name, block)
            })
            .collect();
        Children { blocks }
    }
}

impl ModuleDisplayDefault for Children {
    fn content(&self, content: Content) -> Option<Content> {
        self.blocks
            .iter()
            .fold(content, |content, (name, block)| content.add(name, block))
            .optional()
    }
}

impl ModuleDisplay for Children {}
