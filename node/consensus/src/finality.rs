//! Which blocks are final. Until votes decide that, each node promises it to itself by [`depth`].

pub mod depth;
