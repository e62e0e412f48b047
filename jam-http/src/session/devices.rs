//! "Your devices": the sessions of the same user.

use std::ops::Deref;

use jam_core::{Error as CoreError, ErrorKind, SessionInfo};

use super::Session;
use super::state::apart;
use crate::Result;

/// A line of [`Session::list`]: a session of the same key, and whether it is the one of this request.
#[derive(Clone, Debug)]
pub struct Device {
    info: SessionInfo,
    current: bool,
}

impl Device {
    /// Whether it is the session of this request.
    pub fn is_current(&self) -> bool {
        self.current
    }
}

/// Handle, creation, expiry, data.
impl Deref for Device {
    type Target = SessionInfo;

    fn deref(&self) -> &SessionInfo {
        &self.info
    }
}

impl Session {
    /// The sessions of this user (or visitor), oldest first, as they are in the store: changes of this request are not in
    /// yet. Empty if there is no session.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn list(&self) -> Result<Vec<Device>> {
        let (Some(key), Some(own)) = (self.key().await?, self.handle().await?) else {
            return Ok(Vec::new());
        };
        let listed = apart(self.shared.config.sessions().list(&key)).await;
        let device = |info: SessionInfo| Device {
            current: *info.handle() == own,
            info,
        };
        Ok(listed
            .map_err(|error| self.error(error))?
            .into_iter()
            .map(device)
            .collect())
    }

    /// Ends the session of this name, if it is one of the same user's, and tells whether there was one. Revoking the session
    /// of this request is a [`logout`](Self::logout).
    ///
    /// # Errors
    /// Those [all methods share](Self#errors).
    pub async fn revoke(&self, handle: impl AsRef<str>) -> Result<bool> {
        let config = self.shared.config.inner();
        let mut state = self.change().await?;
        // Of a session that was ended elsewhere a cache may not have heard.
        let loaded = state.load_surely(config).await.map_err(|error| self.error(error))?;
        let Some((key, own)) = loaded.map(|loaded| (loaded.key().clone(), loaded.handle().clone())) else {
            return Ok(false);
        };
        let revoked = apart(config.sessions.revoke(&key, handle.as_ref())).await;
        let revoked = revoked.map_err(|error| self.error(error))?;
        if own.as_str() == handle.as_ref() {
            state.stand_up(self.shared.brought);
        }
        Ok(revoked)
    }

    /// Ends every other session of this user ("log out everywhere else"), and tells how many there were.
    ///
    /// # Errors
    /// Those [all methods share](Self#errors); [`Error::Sessions`](crate::Error::Sessions) of kind `NotFound` if there is no
    /// session (any more).
    pub async fn clear_others(&self) -> Result<u64> {
        let config = self.shared.config.inner();
        let mut state = self.change().await?;
        let id = state.id(config).await.map_err(|error| self.error(error))?;
        let id = id.ok_or_else(|| CoreError::from(ErrorKind::NotFound))?;
        let cleared = apart(config.sessions.clear_others(&id)).await;
        cleared.map_err(|error| self.error(error))
    }
}
