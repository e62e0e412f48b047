//! A client that keeps the session cookie as a browser does.

use std::sync::{Arc, Mutex, PoisonError};

use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};

use super::Framework;

/// A browser with a cookie jar of one cookie. Clones are tabs of the same browser.
#[derive(Clone, Debug)]
pub struct Browser<F> {
    app: F,
    cookie: Arc<Mutex<Option<String>>>,
}

impl<F: Framework> Browser<F> {
    /// With an empty jar.
    pub fn new(app: &F) -> Self {
        Self {
            app: app.clone(),
            cookie: Arc::default(),
        }
    }

    /// With this cookie (`name=value`) in the jar.
    pub fn with_cookie(app: &F, cookie: impl Into<String>) -> Self {
        let browser = Self::new(app);
        browser.set_cookie(Some(cookie.into()));
        browser
    }

    /// The cookie in the jar, as `name=value`.
    pub fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_cookie(&self, cookie: Option<String>) {
        *self.cookie.lock().unwrap_or_else(PoisonError::into_inner) = cookie;
    }

    /// Visits a page and gives the whole response.
    pub async fn visit(&self, path: &str) -> Response<String> {
        let mut request = Request::get(path);
        if let Some(cookie) = self.cookie() {
            request = request.header(COOKIE, cookie);
        }
        let response = self.app.send(request.body(()).expect("a request")).await;
        for set in response.headers().get_all(SET_COOKIE) {
            let set = set.to_str().expect("ASCII");
            let pair = set.split(';').next().unwrap_or_default().to_owned();
            self.set_cookie((!set.contains("Max-Age=0")).then_some(pair));
        }
        response
    }

    /// Visits a page and gives its text.
    pub async fn read(&self, path: &str) -> String {
        self.visit(path).await.into_body()
    }

    /// Visits a page and gives its status.
    pub async fn status(&self, path: &str) -> u16 {
        self.visit(path).await.status().as_u16()
    }
}
