//! In place of the near cache where the feature `near-cache` is off: there never is one, so none of this is ever called.

use std::sync::Arc;

use jam_core::{Load, RecordId, Result, SessionKey, Stored};

use crate::RedisStore;
use crate::connect::Live;

#[derive(Debug)]
pub(crate) enum Near {}

#[derive(Debug)]
pub(crate) enum Tracker {}

impl Near {
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(crate) async fn load(&self, _: &RedisStore, _: &RecordId, _: Load) -> Result<Option<Stored>> {
        match *self {}
    }

    pub(crate) fn writing(&self, _: &SessionKey) {
        match *self {}
    }

    pub(crate) fn forget_all(&self) {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(crate) async fn check(_: &Live) -> Result<()> {
        Ok(())
    }
}

impl Tracker {
    pub(crate) fn new(near: &Arc<Near>) -> Self {
        match **near {}
    }

    pub(crate) fn reset(&self) {
        match *self {}
    }
}
