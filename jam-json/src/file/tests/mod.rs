//! Tests that need the file system seam.

mod batches;
mod fake_fs;
mod faults;
