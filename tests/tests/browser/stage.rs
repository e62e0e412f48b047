//! The stage: the example as a process, and browsers that look at it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_test_servers::{Chromedriver, Process};
use serde_json::{Value, json};
use thirtyfour::cdp::Cdp;
use thirtyfour::session::handle::SessionHandle;
use thirtyfour::{By, Capabilities, Cookie, WebDriver, WebElement};

/// Longer than anything takes; nothing waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The example, run as its documentation says.
pub(crate) struct Site {
    pub(crate) url: String,
    _process: Process,
}

impl Site {
    pub(crate) fn start(store: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_axum_devices");
        let process = Process::start(program, &[store, "127.0.0.1:0"]);
        let url = process.wait_for("the site to say where it is", |printed| {
            printed
                .lines()
                .find(|line| line.starts_with("http://"))
                .map(str::to_owned)
        });
        Self { url, _process: process }
    }

    pub(crate) fn in_memory() -> Self {
        Self::start("memory:")
    }
}

/// How a browser is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Look<'a> {
    pub(crate) user_agent: Option<&'a str>,
    pub(crate) phone: bool,
    pub(crate) dark: bool,
}

pub(crate) const FIREFOX: Look<'_> = Look {
    user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0"),
    phone: false,
    dark: false,
};

pub(crate) const EDGE: Look<'_> = Look {
    user_agent: Some(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0",
    ),
    phone: false,
    dark: false,
};

pub(crate) const IPHONE: Look<'_> = Look {
    user_agent: Some(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
    ),
    phone: true,
    dark: false,
};

/// One browser with a profile of its own, which ends with its driver.
pub(crate) struct Browser {
    handle: Arc<SessionHandle>,
    url: String,
}

impl Browser {
    /// A new browser, with nothing opened.
    pub(crate) async fn open(driver: &Chromedriver, site: &Site, look: Look<'_>) -> Self {
        let mut arguments: Vec<_> = driver.arguments().into_iter().map(str::to_owned).collect();
        arguments.push("--window-size=1280,900".to_owned());
        if let Some(agent) = look.user_agent {
            arguments.push(format!("--user-agent={agent}"));
        }
        let mut chromium = json!({"binary": driver.chromium(), "args": arguments});
        if look.phone {
            chromium["mobileEmulation"] = json!({"deviceMetrics": {"width": 360, "height": 740, "pixelRatio": 2.0}});
            if let Some(agent) = look.user_agent {
                chromium["mobileEmulation"]["userAgent"] = json!(agent);
            }
        }
        let mut capabilities = Capabilities::new();
        capabilities.set("browserName", json!("chrome")).expect("a capability");
        capabilities.set("goog:chromeOptions", chromium).expect("a capability");
        let started = WebDriver::new(driver.url(), capabilities)
            .await
            .expect("a browser starts");
        let handle = Arc::clone(started.handle());
        started.leak().expect("the browser ends with its driver");
        let browser = Self {
            handle,
            url: site.url.clone(),
        };
        if look.dark {
            let features = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
            let devtools = Cdp::new(Arc::clone(&browser.handle));
            let set = devtools.send_raw("Emulation.setEmulatedMedia", features).await;
            set.expect("the browser turns dark");
        }
        browser
    }

    pub(crate) async fn goto(&self, path: &str) {
        self.visit(&format!("{}{path}", self.url)).await;
    }

    /// Opens an address of another site.
    pub(crate) async fn visit(&self, url: &str) {
        self.handle.goto(url).await.expect("a page loads");
    }

    /// Signs in as a person does.
    pub(crate) async fn sign_in(&self, user: &str, password: &str) {
        self.goto("/").await;
        self.fill("user", user).await;
        self.fill("password", password).await;
        self.press("Sign in").await;
    }

    /// A browser where Ada has signed in.
    pub(crate) async fn of_ada(driver: &Chromedriver, site: &Site, look: Look<'_>) -> Self {
        let browser = Self::open(driver, site, look).await;
        browser.sign_in("ada", "engine").await;
        assert_eq!(browser.heading().await, "Your devices");
        browser
    }

    pub(crate) async fn fill(&self, label: &str, value: &str) {
        self.find(&format!("input[name='{label}']"))
            .await
            .send_keys(value)
            .await
            .expect("a field is filled in");
    }

    /// Presses the button that has this name for those who cannot see it, and waits for the page that comes of it.
    pub(crate) async fn press(&self, name: &str) {
        let path = format!("//button[@aria-label='{name}' or (not(@aria-label) and normalize-space()='{name}')]");
        self.press_at(By::XPath(path)).await;
    }

    pub(crate) async fn press_at(&self, button: By) {
        let found = self.handle.find(button).await.expect("there is such a button");
        self.script("window.old = true").await;
        found.click().await.expect("a button is pressed");
        self.until("another page", async || {
            // No script runs while one page leaves and the other comes.
            let script = "return !window.old && document.readyState === 'complete'";
            let given = self.handle.execute(script, Vec::new()).await;
            given.is_ok_and(|given| *given.json() == json!(true))
        })
        .await;
    }

    /// What is there; a missing element fails the test.
    pub(crate) async fn find(&self, selector: &str) -> WebElement {
        let found = self.handle.find(By::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("no {selector}: {error}"))
    }

    /// What an element says, once it is there.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.texts(selector).await.remove(0)
    }

    /// What all elements of a kind say, once there is one.
    async fn texts(&self, selector: &str) -> Vec<String> {
        // In one step, since the page may leave between two.
        let script = "return [...document.querySelectorAll(arguments[0])].map(element => element.innerText.trim())";
        let start = Instant::now();
        loop {
            let given = self.handle.execute(script, vec![json!(selector)]).await;
            let texts: Vec<String> = given.and_then(|given| given.convert()).unwrap_or_default();
            if !texts.is_empty() {
                return texts;
            }
            assert!(start.elapsed() < PATIENCE, "no {selector}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn heading(&self) -> String {
        self.text("h1").await
    }

    /// The names of the devices that are listed.
    pub(crate) async fn devices(&self) -> Vec<String> {
        self.texts(".device bdi").await
    }

    pub(crate) async fn count(&self) -> u64 {
        self.text("#counter .number").await.parse().expect("a number is shown")
    }

    /// What a script of the page's own would get, were there one.
    pub(crate) async fn script(&self, script: &str) -> Value {
        let given = self.handle.execute(script, Vec::new()).await.expect("a script runs");
        given.json().clone()
    }

    pub(crate) async fn cookies(&self) -> Vec<Cookie> {
        self.handle.get_all_cookies().await.expect("a browser has a jar")
    }

    /// The one cookie of the site.
    pub(crate) async fn cookie(&self) -> Cookie {
        let mut cookies = self.cookies().await;
        assert_eq!(cookies.len(), 1, "one cookie: {:?}", names(&cookies));
        cookies.remove(0)
    }

    pub(crate) async fn back(&self) {
        self.handle.back().await.expect("a browser goes back");
    }

    /// Follows a link, and waits until the page that it leads to has this heading.
    pub(crate) async fn follow(&self, link: &str, heading: &str) {
        let link = self
            .handle
            .find(By::LinkText(link))
            .await
            .expect("there is such a link");
        link.click().await.expect("a link is followed");
        self.until(heading, async || self.heading().await == heading).await;
    }

    /// Opens one more tab and looks at that.
    pub(crate) async fn new_tab(&self) {
        let tab = self.handle.new_tab().await.expect("a tab opens");
        self.handle.switch_to_window(tab).await.expect("a tab is looked at");
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        let start = Instant::now();
        while !so().await {
            if start.elapsed() > PATIENCE {
                let page = self.text("body").await;
                panic!("waited for {what}, and there is:\n{page}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether all of the page can be seen without scrolling sideways. (A phone's `innerWidth` grows with what is too wide.)
    pub(crate) async fn fits(&self) -> bool {
        self.script("const page = document.documentElement; return page.scrollWidth <= page.clientWidth")
            .await
            == json!(true)
    }

    /// A picture in the directory that `JAM_TEST_SCREENSHOTS` names, if it does.
    pub(crate) async fn picture(&self, name: &str) {
        if let Some(directory) = std::env::var_os("JAM_TEST_SCREENSHOTS") {
            let path = std::path::Path::new(&directory).join(format!("{name}.png"));
            self.handle.screenshot(&path).await.expect("a picture is taken");
        }
    }
}

fn names(cookies: &[Cookie]) -> Vec<&str> {
    cookies.iter().map(|cookie| cookie.name.as_str()).collect()
}
