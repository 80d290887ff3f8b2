//! Line plots as SVG to stand inside an HTML page: they take the page's text colour and its `--series-N` colours.

use anyhow::anyhow;
use plotters::prelude::*;

/// Colours that stand for CSS variables; replaced in the finished SVG, so that light and dark pages both read well.
const INK: RGBColor = RGBColor(1, 1, 1);
const SERIES: [RGBColor; 6] =
    [RGBColor(2, 2, 2), RGBColor(3, 3, 3), RGBColor(4, 4, 4), RGBColor(5, 5, 5), RGBColor(6, 6, 6), RGBColor(7, 7, 7)];
const SIZE: (u32, u32) = (720, 420);

/// How an axis is divided; values are given untransformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Points whose value is not above zero are left out.
    Log10,
}

/// One axis: what it shows, how, and from where to where.
#[derive(Debug, Clone)]
pub struct Axis {
    pub label: &'static str,
    pub scale: Scale,
    pub from: f64,
    pub to: f64,
}

/// One line of at most six, in the order of the legend.
#[derive(Debug, Clone)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// The SVG element of a plot of these lines; `title` is what a screen reader says.
pub fn lines(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> anyhow::Result<String> {
    let mut svg = String::new();
    draw(&mut svg, x, y, series).map_err(|reason| anyhow!("cannot plot {title}: {reason}"))?;
    let (width, height) = SIZE;
    let opening = format!("<svg width=\"{width}\" height=\"{height}\"");
    let labelled = format!("<svg role=\"img\" aria-label=\"{title}\"");
    let mut svg = svg.replacen(&opening, &labelled, 1).replace("#010101", "currentColor");
    for (number, colour) in SERIES.iter().enumerate() {
        let hex = format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2);
        svg = svg.replace(&hex, &format!("var(--series-{})", number + 1));
    }
    Ok(svg)
}

fn draw(svg: &mut String, x: &Axis, y: &Axis, series: &[Series]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(x.transformed(), y.transformed())?;
    chart
        .configure_mesh()
        .x_desc(x.label)
        .y_desc(y.label)
        .x_labels(x.labels())
        .y_labels(y.labels())
        .x_label_formatter(&|v| x.format(*v))
        .y_label_formatter(&|v| y.format(*v))
        .label_style(text(13))
        .axis_desc_style(text(14))
        .axis_style(INK.mix(0.6))
        .bold_line_style(INK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (line, colour) in series.iter().zip(SERIES) {
        let points = line.points.iter().filter_map(|(px, py)| Some((x.place(*px)?, y.place(*py)?)));
        let stroke = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, stroke))?
            .label(line.name.as_str())
            .legend(move |(left, top)| PathElement::new(vec![(left, top), (left + 22, top)], stroke));
    }
    if series.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(text(13))
            .border_style(INK.mix(0.2))
            .draw()?;
    }
    area.present()?;
    Ok(())
}

impl Axis {
    fn transformed(&self) -> std::ops::Range<f64> {
        match self.scale {
            Scale::Linear => self.from..self.to,
            Scale::Log10 => self.from.log10()..self.to.log10(),
        }
    }

    /// Where a value lies on the axis; `None` beyond its ends.
    fn place(&self, value: f64) -> Option<f64> {
        let inside = value >= self.from.min(self.to) && value <= self.from.max(self.to);
        inside.then(|| match self.scale {
            Scale::Linear => value,
            Scale::Log10 => value.log10(),
        })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of decades")]
    fn labels(&self) -> usize {
        match self.scale {
            Scale::Linear => 11,
            Scale::Log10 => (self.to.log10() - self.from.log10()).abs().round() as usize + 1,
        }
    }

    fn format(&self, place: f64) -> String {
        match self.scale {
            Scale::Linear => format!("{}", (place * 1e4).round() / 1e4),
            Scale::Log10 if place.fract().abs() > 1e-6 => String::new(),
            Scale::Log10 if place >= -3.0 => format!("{}", (10f64.powf(place) * 1e4).round() / 1e4),
            Scale::Log10 => format!("1e{place:.0}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_takes_the_pages_colours_and_needs_nothing_from_elsewhere() {
        let x = Axis { label: "FPIR", scale: Scale::Log10, from: 1e-4, to: 1.0 };
        let y = Axis { label: "FNIR", scale: Scale::Linear, from: 0.0, to: 0.2 };
        let line = |name: &str| Series { name: name.into(), points: vec![(0.0, 0.1), (1e-3, 0.1), (1.0, 0.05)] };
        let svg = lines("DET", &x, &y, &[line("single"), line("3+1")]).unwrap();
        assert!(svg.starts_with("<svg role=\"img\" aria-label=\"DET\""), "{svg}");
        assert!(svg.contains("var(--series-2)") && svg.contains("currentColor") && svg.contains("3+1"));
        assert!(!svg.contains("#01") && !svg.contains("href"));
        assert!(svg.contains("1e-4") && svg.contains("FPIR"));
    }
}
