//! # jam-crypto
//!
//! Encrypted session ids and sealed session data.
#![forbid(unsafe_code)]
