//! The page around the figures: one style sheet, light and dark, nothing from elsewhere.

use super::figure::escaped;
use std::fmt::Write;

/// An HTML page that needs nothing beside it. It is well-formed XML too.
pub struct Page {
    title: String,
    body: String,
    contents: Vec<(String, String)>,
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Page {
        Page { title: title.into(), body: String::new(), contents: Vec::new() }
    }

    /// A section's heading.
    pub fn section(&mut self, id: &str, heading: &str) {
        if !self.contents.is_empty() {
            self.body += "</section>\n";
        }
        self.contents.push((id.into(), heading.into()));
        let _ = writeln!(self.body, "<section id=\"{id}\">\n<h2>{}</h2>", escaped(heading));
    }

    /// A paragraph of plain text.
    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escaped(text));
    }

    /// A paragraph with a word in front, such as `How to read it`.
    pub fn note(&mut self, word: &str, text: &str) {
        let _ = writeln!(self.body, "<p><strong>{}.</strong> {}</p>", escaped(word), escaped(text));
    }

    /// A verdict in a frame of its colour.
    pub fn verdict(&mut self, kind: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<p class=\"verdict {kind}\"><strong>{}.</strong> {}</p>",
            escaped(kind),
            escaped(text)
        );
    }

    /// What is markup already: a figure.
    pub fn figure(&mut self, figure: &str) {
        self.body += figure;
    }

    /// A table; cells that begin with a digit or a sign stand to the right.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        self.body += "<div class=\"wide\"><table>\n<thead><tr>";
        head.iter().for_each(|h| self.body += &format!("<th scope=\"col\">{}</th>", escaped(h)));
        self.body += "</tr></thead>\n<tbody>\n";
        for row in rows {
            self.body += "<tr>";
            for cell in row {
                let number = cell.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '−'));
                let class = if number { " class=\"number\"" } else { "" };
                let _ = write!(self.body, "<td{class}>{}</td>", escaped(cell));
            }
            self.body += "</tr>\n";
        }
        self.body += "</tbody></table></div>\n";
    }

    /// The page.
    pub fn finish(mut self) -> String {
        if !self.contents.is_empty() {
            self.body += "</section>\n";
        }
        let title = escaped(&self.title);
        let links: String = self
            .contents
            .iter()
            .map(|(id, heading)| format!("<li><a href=\"#{id}\">{}</a></li>\n", escaped(heading)))
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<nav><ol>\n{links}</ol></nav>\n{}</main>\n</body>\n</html>\n",
            self.body
        )
    }
}

/// Colours that are told apart in grey and by the colour-blind (Okabe and Ito 2008), lighter on a dark ground.
const STYLE: &str = "\
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1f24; --faint: #5d6670; --rule: #d9dee3; --panel: #f5f7f9;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b0578d; --c4: #a87900; --c5: #3c93c7; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171a; --ink: #e4e8ec; --faint: #9aa4ae; --rule: #343b42; --panel: #1d2226;
    --c0: #56b4e9; --c1: #f08a4b; --c2: #34c79a; --c3: #dc96bf; --c4: #e6b800; --c5: #8fd0f5; } }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { margin-top: 2.6rem; font-size: 1.25rem; border-bottom: 1px solid var(--rule); }
nav ol { columns: 2; padding-left: 1.3rem; } a { color: var(--c0); }
figure { margin: 1.2rem 0; overflow-x: auto; background: var(--panel); border: 1px solid var(--rule); border-radius: 6px; padding: .6rem; }
figcaption { font-size: .87rem; color: var(--faint); padding: .3rem .4rem 0; }
svg { display: block; width: 100%; min-width: 560px; height: auto; font-family: system-ui, sans-serif; }
svg text { fill: var(--ink); font-size: 13px; } svg .tick { fill: var(--faint); font-size: 12px; }
svg .char { font: 11px ui-monospace, monospace; }
.grid { stroke: var(--rule); } .axis { stroke: var(--faint); } .level { stroke: var(--faint); stroke-dasharray: 5 4; }
polyline { fill: none; stroke-width: 2; } line[class^=s] { stroke-width: 2; } .dashed { stroke-dasharray: 6 4; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); } .s3 { stroke: var(--c3); } .s4 { stroke: var(--c4); }
.s5 { stroke: var(--c5); } polygon { fill-opacity: .16; stroke: none; }
.b0, .p0, .h0 { fill: var(--c0); } .b1, .p1, .h1 { fill: var(--c1); } .b2, .p2 { fill: var(--c2); } .b3, .p3 { fill: var(--c3); }
.b4, .p4 { fill: var(--c4); } .b5, .p5 { fill: var(--c5); } circle[class^=p] { fill-opacity: .6; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .92rem; margin: .8rem 0; }
th, td { text-align: left; padding: .28rem .8rem .28rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { color: var(--faint); font-weight: 600; } .number { text-align: right; font-variant-numeric: tabular-nums; }
.verdict { border-left: 5px solid var(--c2); background: var(--panel); padding: .6rem .9rem; }
.verdict strong { text-transform: capitalize; } .verdict.vanishing { border-color: var(--c4); } .verdict.exploding { border-color: var(--c1); }
";
