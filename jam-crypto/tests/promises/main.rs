//! What jam-crypto promises, one file for each kind of promise.

mod data;
mod forged;
mod golden;
mod ids;
mod keys;
mod rotation;
mod secrets;
mod support;
