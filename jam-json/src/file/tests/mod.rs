//! Tests that need the file system seam.
