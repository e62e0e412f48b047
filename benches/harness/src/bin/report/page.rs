//! The page: text by hand, and between `<!-- bench:name -->` and `<!-- end -->` what was measured.

use serde_json::Value;

fn begin(name: &str) -> String {
    format!("<!-- bench:{name} -->\n")
}

const END: &str = "<!-- end -->";

/// The names of all marks.
pub(crate) fn marks(page: &str) -> Vec<String> {
    let names = page
        .lines()
        .filter_map(|line| line.strip_prefix("<!-- bench:")?.strip_suffix(" -->"));
    names.map(str::to_owned).collect()
}

/// What is between these marks now.
pub(crate) fn between<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    let (_, rest) = page.split_once(&begin(name))?;
    Some(rest.split_once(END)?.0)
}

/// The page with this between these marks.
pub(crate) fn replaced(page: &str, name: &str, new: &str) -> String {
    let begin = begin(name);
    let Some((before, rest)) = page.split_once(&begin) else {
        return page.to_owned();
    };
    let Some((_, after)) = rest.split_once(END) else {
        return page.to_owned();
    };
    format!("{before}{begin}\n{}\n\n{END}{after}", new.trim())
}

/// A row of a table.
pub(crate) fn row(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The line below the names of the columns: texts, then so many numbers.
pub(crate) fn rule(texts: usize, numbers: usize) -> String {
    format!("|{}{}\n", "---|".repeat(texts), "---:|".repeat(numbers))
}

/// A table whose cells are as they are to be shown.
pub(crate) fn plain(lines: &[Value]) -> String {
    let cells = |line: &Value| -> Vec<String> {
        let cells = line.as_array().into_iter().flatten();
        cells.map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()
    };
    let columns = lines.first().map(|head| cells(&head["columns"])).unwrap_or_default();
    let mut text = row(&columns) + &rule(1, columns.len().saturating_sub(1));
    for line in lines.iter().skip(1) {
        text += &row(&cells(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{between, marks, replaced};

    const PAGE: &str =
        "# Page\n\n<!-- bench:one -->\n<!-- end -->\n\nWords.\n\n<!-- bench:two -->\n\nold\n\n<!-- end -->\n";

    #[test]
    fn a_part_changes_nothing_outside_its_marks() {
        assert_eq!(marks(PAGE), ["one", "two"]);
        let page = replaced(PAGE, "one", "new\n");
        assert_eq!(between(&page, "one"), Some("\nnew\n\n"));
        assert_eq!(between(&page, "two"), between(PAGE, "two"));
        assert_eq!(replaced(&page, "one", "new"), page);
        assert_eq!(replaced(&page, "one", ""), replaced(PAGE, "one", ""));
        assert_eq!(replaced(PAGE, "three", "new"), PAGE);
    }
}
