//! An operator of each kind in use.

use emrys::etl::ops::{
    AddMetadata, Aggregate, Bucketize, Cast, Categorify, Clip, ColumnSimilarity, DataStats,
    DifferenceLag, DropLowCardinality, Dropna, FillMedian, FillMissing, Filter, Groupby,
    HashBucket, HashedCross, IdType, JoinExternal, JoinGroupby, Lambda, ListAggregate, ListSlice,
    LogOp, Normalize, NormalizeMinMax, ReduceDtypeSize, Rename, Select, TagAs, TargetEncoding,
    TextVocabulary, TimePart, TimeParts, ToList, TokenizeText, ValueCount,
};
use emrys::etl::{Node, cols, group};
use emrys::schema::{DType, Tag};

use super::table;
use crate::Result;
use crate::workload::{CATEGORIES, NUMBERS, category_names, number_names};

/// An operator in use.
pub(super) struct Case {
    /// The operator, as the registry names it.
    pub(super) operator: &'static str,
    /// What is special about its use.
    pub(super) variant: &'static str,
    /// How many columns it works on.
    pub(super) columns: usize,
    pub(super) node: Node,
}

fn case(operator: &'static str, columns: usize, node: Node) -> Case {
    Case {
        operator,
        variant: "",
        columns,
        node,
    }
}

impl Case {
    fn with(mut self, variant: &'static str) -> Case {
        self.variant = variant;
        self
    }
}

/// All cases over the columns of [`table`], by operator.
pub(super) fn cases() -> Result<Vec<Case>> {
    let numbers = || cols(number_names());
    let texts = || cols(category_names());
    let (items, title) = (|| cols(["items"]), || cols(["title"]));
    let deciles = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    let pairs = || group(["C1", "C2"]) + group(["C5", "C8"]);
    let sessions = Groupby::new(["C7"])
        .with_sort_cols(["time"])
        .with_column_aggs([
            ("I1", vec![Aggregate::Mean, Aggregate::Max]),
            ("C1", vec![Aggregate::List]),
            ("time", vec![Aggregate::First]),
        ]);
    let similarity = ColumnSimilarity::table(table::features()?);
    let external = JoinExternal::table(table::external()?, ["shelf"]);
    Ok(vec![
        case("AddMetadata", NUMBERS, numbers() >> AddMetadata::default()),
        case("Bucketize", NUMBERS, numbers() >> Bucketize::new(deciles)),
        case("Bucketize", NUMBERS, numbers() >> Bucketize::quantiles(10)).with("10 quantiles"),
        case("Cast", NUMBERS, numbers() >> Cast::to(DType::Float32)),
        case("Categorify", CATEGORIES, texts() >> Categorify::new()),
        case(
            "Categorify",
            CATEGORIES,
            texts() >> Categorify::new().with_id_type(IdType::Int32),
        )
        .with("ids of 32 bits"),
        case(
            "Categorify",
            CATEGORIES,
            texts()
                >> Categorify::new()
                    .with_freq_threshold(15)
                    .with_num_buckets(100),
        )
        .with("threshold 15, 100 buckets"),
        case("Categorify", 1, items() >> Categorify::new()).with("lists"),
        case("Clip", NUMBERS, numbers() >> Clip::between(0, 100)),
        case(
            "ColumnSimilarity",
            2,
            group(["shelf", "place"]) >> similarity,
        ),
        case("DataStats", NUMBERS, numbers() >> DataStats::default()),
        case(
            "DataStats",
            NUMBERS,
            numbers() >> DataStats::default().with_approximate(true),
        )
        .with("approximate"),
        case(
            "DifferenceLag",
            NUMBERS,
            numbers() >> DifferenceLag::new(["C7"]),
        ),
        case(
            "DropLowCardinality",
            CATEGORIES,
            texts() >> Categorify::new() >> DropLowCardinality::default(),
        )
        .with("after Categorify"),
        case("Dropna", NUMBERS, numbers() >> Dropna),
        case("FillMedian", NUMBERS, numbers() >> FillMedian::default()),
        case(
            "FillMedian",
            NUMBERS,
            numbers() >> FillMedian::default().with_approximate(true),
        )
        .with("approximate"),
        case("FillMissing", NUMBERS, numbers() >> FillMissing::with(0)),
        case("FillMissing", CATEGORIES, texts() >> FillMissing::with("")).with("texts"),
        case("Filter", NUMBERS, numbers() >> Filter::new("\"I1\" > 1")),
        case("Groupby", 4, cols(["C7", "time", "I1", "C1"]) >> sessions).with("sorted lists"),
        case("HashBucket", CATEGORIES, texts() >> HashBucket::new(1000)),
        case("HashedCross", 4, pairs() >> HashedCross::new(1000)),
        case("JoinExternal", 1, cols(["shelf"]) >> external),
        case(
            "JoinGroupby",
            4,
            cols(["C1", "C7"]) >> JoinGroupby::of(["I1", "I2"]),
        ),
        case("Lambda", NUMBERS, numbers() >> Lambda::new("x * 2 + 1")),
        case(
            "ListAggregate",
            1,
            items() >> ListAggregate::new([Aggregate::Len, Aggregate::Max]),
        ),
        case(
            "ListSlice",
            1,
            items() >> ListSlice::last(3).with_padding(0),
        ),
        case("LogOp", NUMBERS, numbers() >> Clip::at_least(0) >> LogOp).with("after Clip"),
        case("Normalize", NUMBERS, numbers() >> Normalize::default()),
        case(
            "NormalizeMinMax",
            NUMBERS,
            numbers() >> NormalizeMinMax::default(),
        ),
        case(
            "ReduceDtypeSize",
            NUMBERS,
            numbers() >> ReduceDtypeSize::default(),
        ),
        case("Rename", NUMBERS, numbers() >> Rename::postfix("_raw")),
        case(
            "Select",
            NUMBERS,
            numbers() >> Select::columns(number_names()),
        ),
        case("TagAs", NUMBERS, numbers() >> TagAs::new([Tag::Item])),
        case(
            "TargetEncoding",
            CATEGORIES,
            texts() >> TargetEncoding::new("label"),
        ),
        case(
            "TextVocabulary",
            1,
            title() >> TokenizeText::words() >> TextVocabulary::default(),
        )
        .with("after TokenizeText"),
        case(
            "TimeParts",
            1,
            cols(["time"]) >> TimeParts::new([TimePart::Hour, TimePart::Weekday]),
        ),
        case(
            "ToList",
            NUMBERS,
            group(number_names()) >> ToList::default(),
        ),
        case("TokenizeText", 1, title() >> TokenizeText::words()),
        case("ValueCount", 1, items() >> ValueCount::default()),
    ])
}
