//! What cases ask of a result. Each answer is a [`Failure`] that points at the asking line and shows no payload.

use std::fmt::Debug;

use super::report::{Failure, Verdict};
use crate::{ErrorKind, Result, Stored};

/// That a value is the expected one. For values that hold no key, id or payload.
#[track_caller]
pub(super) fn equal<T: PartialEq + Debug>(what: &str, actual: &T, expected: &T) -> Verdict {
    if actual == expected {
        return Ok(());
    }
    Err(Failure::new(format!("{what}: {expected:?}"), format!("{actual:?}")))
}

/// That something is so.
#[track_caller]
pub(super) fn that(holds: bool, expected: &str, otherwise: &str) -> Verdict {
    if holds {
        return Ok(());
    }
    Err(Failure::new(expected, otherwise))
}

/// That a call failed with this kind of error.
#[track_caller]
pub(super) fn fails<T>(what: &str, result: Result<T>, kind: ErrorKind) -> Verdict {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Failure::new(
            format!("{what}: {kind:?}"),
            format!("{:?}: \"{error}\"", error.kind()),
        )),
        Ok(_) => Err(Failure::new(format!("{what}: {kind:?}"), "it succeeded")),
    }
}

/// Whether a call succeeded, in a race that it may lose only with one of these errors.
#[track_caller]
pub(super) fn won<T>(what: &str, result: Result<T>, losing: &[ErrorKind]) -> Verdict<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if losing.contains(&error.kind()) => Ok(false),
        Err(error) => Err(Failure::new(
            format!("{what}: success or one of {losing:?}"),
            format!("{:?}: \"{error}\"", error.kind()),
        )),
    }
}

/// Whether any of these calls succeeded, in a race that they may lose only with one of these errors.
#[track_caller]
pub(super) fn any_won<T>(what: &str, results: Vec<Result<T>>, losing: &[ErrorKind]) -> Verdict<bool> {
    let mut any = false;
    for result in results {
        any |= won(what, result, losing)?;
    }
    Ok(any)
}

/// That there is a record, with this payload.
#[track_caller]
pub(super) fn holds(what: &str, stored: Option<&Stored>, payload: &[u8]) -> Verdict {
    let Some(stored) = stored else {
        return Err(Failure::new(format!("{what}: the record is there"), "there is none"));
    };
    same_bytes(what, &stored.payload, payload)
}

/// That there is no record.
#[track_caller]
pub(super) fn gone(what: &str, stored: Option<&Stored>) -> Verdict {
    match stored {
        None => Ok(()),
        Some(_) => Err(Failure::new(format!("{what}: no record"), "there is one")),
    }
}

/// That two payloads are the same, byte for byte.
#[track_caller]
pub(super) fn same_bytes(what: &str, actual: &[u8], expected: &[u8]) -> Verdict {
    if actual == expected {
        return Ok(());
    }
    let same = actual.iter().zip(expected).take_while(|(a, b)| a == b).count();
    Err(Failure::new(
        format!("{what}: the payload of {} bytes, byte for byte", expected.len()),
        format!("{} bytes that differ from byte {same} on", actual.len()),
    ))
}
