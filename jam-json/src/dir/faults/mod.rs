//! What happens to a `JsonDir` when a single operation of the file system fails, tears or is the last one.

mod faulty;
mod machine;
mod opening;
mod operations;
mod power_cut;
mod scenario;
mod sweeps;
mod torn_read;
