//! The manager for callers without async: the same promises, and no place where a call hangs or panics.
#![cfg(test)]

mod crowds;
mod endings;
mod parity;
mod places;
mod support;
mod surface;
