//! Measuring side by side: contestants take turns at the same operations, and what each turn took is written down, so that
//! ratios can be taken within turns. Machines are shared and noisy; what hits a turn hits all who are in it.
#![forbid(unsafe_code)]
#![expect(missing_debug_implementations, reason = "nobody prints a contestant")]

mod contestant;
mod data;
mod jam;
mod local;
mod measure;
mod python;
mod results;
mod tower;

pub use self::contestant::{About, Contestant, Kind, OPERATIONS, Operation, Turn};
pub use self::data::{SESSIONS, USERS, counted, data, fields, text, user};
pub use self::jam::{Held, Jam};
pub use self::local::{Library, Local};
pub use self::measure::{Settings, compete};
pub use self::python::Python;
pub use self::results::{Measured, Part, Row, median, read_lines, write_table};

/// Whatever goes wrong ends the measurement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
