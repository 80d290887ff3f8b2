//! What the HTML reports are made of: one file, nothing from elsewhere, readable by whoever has to judge the gates and
//! did not build them.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

const HEAD: &str = include_str!("page/head.html");

/// A page's beginning, up to its body.
pub fn head(title: &str) -> String {
    HEAD.replace("{title}", &escaped(title))
}

/// Writes a finished page to `path`, making its folder.
pub fn write(path: &Path, page: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(path, page).with_context(|| format!("cannot write the report to {}", path.display()))
}

/// A table; the cells are HTML, so what comes from outside must be [`escaped`].
pub fn table(page: &mut String, head: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| -> String {
        cells.map(|cell| format!("<{tag}>{cell}</{tag}>")).collect()
    };
    writeln!(
        page,
        "<div class=\"table\"><table><thead><tr>{}</tr></thead><tbody>",
        cells("th", &mut head.iter().copied())
    )?;
    for row in rows {
        writeln!(page, "<tr>{}</tr>", cells("td", &mut row.iter().map(String::as_str)))?;
    }
    writeln!(page, "</tbody></table></div>")?;
    Ok(())
}

/// A plot with its caption, which is HTML.
pub fn figure(page: &mut String, svg: &str, caption: &str) -> anyhow::Result<()> {
    writeln!(page, "<figure>{svg}<figcaption>{caption}</figcaption></figure>")?;
    Ok(())
}

/// Text as HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_its_title_and_a_name_from_outside_is_no_markup() {
        let mut page = head("Facegate: <report>");
        assert!(page.contains("<title>Facegate: &lt;report&gt;</title>") && !page.contains("{title}"));
        table(&mut page, &["kind", "APCER"], &[vec![escaped("print & <b>cut</b>"), "1 %".into()]]).unwrap();
        assert!(page.contains("<th>kind</th><th>APCER</th>"));
        assert!(page.contains("<td>print &amp; &lt;b&gt;cut&lt;/b&gt;</td><td>1 %</td>"));
    }

    #[test]
    fn a_report_is_written_into_a_folder_that_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/report.html");
        write(&path, "<p>done</p>").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "<p>done</p>");
        assert!(write(&folder.path().join("new"), "").unwrap_err().to_string().contains("cannot write the report"));
    }
}
