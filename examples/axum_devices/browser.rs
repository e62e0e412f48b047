//! Browser and system by a `User-Agent`, for a person to recognise. It is what a client says of itself: fit for a label, and for
//! nothing that matters.

/// What a device looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Computer,
    Phone,
    Tablet,
    Unknown,
}

/// What a `User-Agent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Browser<'a> {
    agent: &'a str,
    program: Option<&'static str>,
    system: Option<&'static str>,
    pub(crate) shape: Shape,
}

/// The first that fits counts, since most browsers also claim to be those below them.
const BROWSERS: [(&str, &str); 13] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
];

const SYSTEMS: [(&str, &str, Shape); 8] = [
    ("iPhone", "iPhone", Shape::Phone),
    ("iPad", "iPad", Shape::Tablet),
    ("Android", "Android", Shape::Phone),
    ("Windows", "Windows", Shape::Computer),
    ("CrOS", "ChromeOS", Shape::Computer),
    ("Mac OS X", "macOS", Shape::Computer),
    ("Linux", "Linux", Shape::Computer),
    ("FreeBSD", "FreeBSD", Shape::Computer),
];

impl<'a> Browser<'a> {
    /// How much of an unknown `User-Agent` is shown.
    const LONGEST: usize = 60;

    pub(crate) fn read(agent: &'a str) -> Self {
        let browser = BROWSERS.iter().find(|(mark, _)| agent.contains(mark));
        let system = SYSTEMS.iter().find(|(mark, ..)| agent.contains(mark));
        let shape = match system {
            // Tablets with Android say so by not saying "Mobile".
            Some((_, "Android", _)) if !agent.contains("Mobile") => Shape::Tablet,
            Some((.., shape)) => *shape,
            None => Shape::Unknown,
        };
        Self {
            agent,
            program: browser.map(|(_, name)| *name),
            system: system.map(|(_, name, _)| *name),
            shape,
        }
    }

    /// "Firefox on Linux"; of one nobody knows what it says itself.
    pub(crate) fn name(&self) -> String {
        match (self.program, self.system) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(one), None) => one.to_owned(),
            (None, Some(system)) => format!("A browser on {system}"),
            (None, None) if self.agent.trim().is_empty() => "An unknown device".to_owned(),
            (None, None) => self.agent.chars().take(Self::LONGEST).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Browser, Shape};

    #[test]
    fn browsers_are_known_by_what_only_they_say() {
        for (agent, name, shape) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0",
                "Firefox on Linux",
                Shape::Computer,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0",
                "Edge on Windows",
                Shape::Computer,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
                "Safari on macOS",
                Shape::Computer,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/150.0.0.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
                Shape::Phone,
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
                Shape::Phone,
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; SM-X910) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36",
                "Samsung Internet on Android",
                Shape::Tablet,
            ),
            ("curl/8.5.0", "curl", Shape::Unknown),
            ("", "An unknown device", Shape::Unknown),
        ] {
            let browser = Browser::read(agent);
            assert_eq!((browser.name().as_str(), browser.shape), (name, shape), "{agent}");
        }
    }

    #[test]
    fn of_an_unknown_browser_no_more_than_a_line_is_shown() {
        let agent = "é".repeat(1000);
        assert_eq!(Browser::read(&agent).name().chars().count(), 60);
    }
}
