//! One table of promises for every web framework: a site is a set of handlers that know no framework, and each framework
//! serves it.

mod actix;
mod axum;
mod browser;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use jam_http::{CrossOriginProtection, Result, Session, SessionConfig};

pub use self::actix::Actix;
pub use self::axum::Axum;
pub use self::browser::Browser;

/// What a handler answers.
pub type Answer = Result<Response<String>>;

type Handler = Arc<dyn Fn(Session) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// Handlers by path, and the choices of the layer around them.
#[derive(Clone)]
pub struct Site {
    /// The choices.
    pub config: SessionConfig,
    /// Whether requests of other origins are refused.
    pub cross_origin: Option<CrossOriginProtection>,
    /// The choices of a second layer, inside the first.
    pub inner: Option<SessionConfig>,
    routes: HashMap<&'static str, Handler>,
}

impl Site {
    /// A site without a handler.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            config,
            cross_origin: None,
            inner: None,
            routes: HashMap::new(),
        }
    }

    /// Refuses requests of other origins.
    #[must_use]
    pub fn protected(self, protection: CrossOriginProtection) -> Self {
        Self {
            cross_origin: Some(protection),
            ..self
        }
    }

    /// Puts a second session layer inside the first.
    #[must_use]
    pub fn with_inner(self, config: SessionConfig) -> Self {
        Self {
            inner: Some(config),
            ..self
        }
    }

    /// Adds a handler that answers 200 with a text.
    #[must_use]
    pub fn on<F, T>(self, path: &'static str, handler: impl Fn(Session) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: ToString,
    {
        self.on_response(path, move |session| {
            let answer = handler(session);
            async { Ok(Response::new(answer.await?.to_string())) }
        })
    }

    /// Adds a handler that gives a whole response.
    #[must_use]
    pub fn on_response<F>(mut self, path: &'static str, handler: impl Fn(Session) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.routes
            .insert(path, Arc::new(move |session| Box::pin(handler(session))));
        self
    }

    /// The handler of a path.
    pub fn handler(&self, path: &str) -> Option<&Handler> {
        self.routes.get(path)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

/// A web framework that serves a site with jam's layer around it. Handlers get the session as an extractor of the framework
/// gives it, and their errors become responses as the framework's layer makes them.
pub trait Framework: Clone + Send + Sync + 'static {
    /// Begins to serve.
    fn serve(site: Site) -> impl Future<Output = Self> + Send;

    /// Sends a request and waits for the whole response.
    fn send(&self, request: Request<()>) -> impl Future<Output = Response<String>> + Send;
}

/// Makes a test of each function through each framework. The functions are generic over the [`Framework`].
#[macro_export]
macro_rules! on_every_framework {
    ($($promise:ident),+ $(,)?) => {
        $crate::on_every_framework!(@framework axum Axum: $($promise),+);
        $crate::on_every_framework!(@framework actix Actix: $($promise),+);
    };
    (@framework $module:ident $framework:ident: $($promise:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $promise() {
                    super::$promise::<$crate::web::$framework>().await;
                }
            )+
        }
    };
}

/// Makes a test of each function through each framework on each store. The functions are generic over the [`Framework`] and take
/// a [`Stage`](crate::Stage).
#[macro_export]
macro_rules! on_every_framework_and_store {
    ($($promise:ident),+ $(,)?) => {
        $crate::on_every_framework_and_store!(@framework axum_on Axum: $($promise),+);
        $crate::on_every_framework_and_store!(@framework actix_on Actix: $($promise),+);
    };
    (@framework $module:ident $framework:ident: $($promise:ident),+) => {
        mod $module {
            $(
                async fn $promise(stage: $crate::Stage) {
                    super::$promise::<$crate::web::$framework>(stage).await;
                }
            )+
            $crate::on_every_store!($($promise),+);
        }
    };
}
