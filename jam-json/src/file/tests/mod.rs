//! Tests that need the file system seam.

mod batches;
mod compactions;
mod decide;
mod document;
mod fake_fs;
mod faults;
mod forks;
mod spelling;
