//! What does not fit together is told with the path of its block, everything at once.

use burn::tensor::Device;
use emrys_models::blocks::{
    Activation, Concat, ContinuousFeatures, CosineSimilarity, DotProductInteraction,
    ElementwiseSum, Embeddings, Filter, Inputs, LogitsTemperature, Mlp, Parallel, Sequential,
};
use emrys_models::models::{Dlrm, TwoTower};
use emrys_models::tasks::BinaryClassification;
use emrys_models::{Compose, ModelSpec, RowShape, Signature, Spec, build};
use emrys_schema::{Schema, Tag};

use super::{movies, vector};

fn refusal(spec: impl Into<Spec>, input: &Signature) -> String {
    build(spec, input, &Device::default(), 0)
        .unwrap_err()
        .to_string()
}

fn model_refusal(spec: impl Into<Spec>, schema: &Schema) -> String {
    ModelSpec::new(spec)
        .build(schema, &Device::default(), 0)
        .unwrap_err()
        .to_string()
}

#[test]
fn dlrm_says_what_does_not_fit() {
    let dlrm = |embeddings| Dlrm::new(embeddings).with_bottom(Mlp::new([32]));
    insta::assert_snapshot!(
        model_refusal(dlrm(Embeddings::new(64)), &movies()),
        @"dlrm.bottom_block: last layer has 32 units but embedding_dim is 64; the interaction needs them equal"
    );
    insta::assert_snapshot!(
        model_refusal(Dlrm::new(Embeddings::new(64)), &movies()),
        @"dlrm: the schema has continuous columns (named tensors {TE_movieId_rating: [B, 1], TE_zipcode_rating: [B, 1]}) but there is no bottom block to make a vector of them; give one with `with_bottom`, or leave the columns out with `with_continuous`"
    );
    insta::assert_snapshot!(
        model_refusal(dlrm(Embeddings::new(32)), &movies().excluding_tags([Tag::Categorical])),
        @"dlrm: the schema has no categorical columns, and the interaction needs at least one; tag them in the workflow"
    );
    insta::assert_snapshot!(
        model_refusal(dlrm(Embeddings::new(32).with_dim("gender", 8)), &movies()),
        @"dlrm.embeddings: `gender` is 8 wide but `genres` is 32 wide; fields need equal widths, give all embeddings one dim"
    );
    insta::assert_snapshot!(refusal(dlrm(Embeddings::new(32)), &vector(3)), @"dlrm: expected a raw batch, found a tensor [B, 3]; only the first blocks of a model read columns");
}

#[test]
fn everything_that_does_not_fit_is_told_at_once() {
    let spec = Dlrm::new(Embeddings::new(0).of(["userId", "TE_zipcode_rating"]))
        .with_continuous(ContinuousFeatures::of([
            "TE_zipcode_rating",
            "genres",
            "TE_movie",
        ]))
        .with_bottom(Mlp::new([32]));
    insta::assert_snapshot!(model_refusal(spec, &movies()), @r"
        3 problems:
        - dlrm: column `TE_movie` is not in the schema (columns: userId, movieId, title, gender, genres, TE_zipcode_rating, TE_movieId_rating, rating)
        - dlrm.embeddings: the embedding of `userId` has width 0, expected at least 1
        - dlrm.embeddings: column `TE_zipcode_rating` (Float32) has no integer domain, so its table's rows cannot be counted; encode it with Categorify or set a domain
        ");
    let branches = Parallel::new([
        ("a", Mlp::new([])),
        (
            "b",
            Mlp::new([4, 0])
                .with_activations([Activation::Relu])
                .with_dropout(1.5),
        ),
    ]);
    insta::assert_snapshot!(refusal(branches, &vector(3)), @r"
        4 problems:
        - parallel.a: there are no layers; give the units of at least one
        - parallel.b: layer 1 has 0 units, expected at least 1
        - parallel.b: there are 1 activations for 2 layers; give one for each layer, or one for all
        - parallel.b: dropout is 1.5, expected a rate in [0, 1)
        ");
}

#[test]
fn two_towers_need_columns_and_one_width() {
    let towers = TwoTower::new(Embeddings::new(8), Mlp::new([4]), Mlp::new([8]));
    insta::assert_snapshot!(model_refusal(towers.clone(), &movies()), @"two_tower: the query tower is 4 wide but the candidate tower is 8 wide; their dot product needs them equal");
    insta::assert_snapshot!(
        model_refusal(towers, &movies().excluding_tags([Tag::User])),
        @"two_tower.query: the tower has no columns among those of a raw batch of columns movieId, title, genres, TE_movieId_rating, rating; tag them `user` and `item` in the workflow, or choose them with `with_query_columns` and `with_candidate_columns`"
    );
}

#[test]
fn combinations_of_shapes_that_do_not_fit() {
    let dict = Signature::dict([("a", RowShape::Vector(2)), ("b", RowShape::Vector(3))]);
    let lists = Signature::dict([("a", RowShape::Matrix(4, 2)), ("b", RowShape::Vector(3))]);
    let empty = Signature::Dict([].into());
    insta::assert_snapshot!(refusal(Concat::new(), &lists), @"concat: `a` has shape [B, 4, 2] but `b` has [B, 3]; tensors side by side need equal shapes except for the last axis");
    insta::assert_snapshot!(refusal(Concat::new(), &empty), @"concat: there is nothing to put side by side; the blocks before give no tensors (no column of the schema has the tags they look for?)");
    insta::assert_snapshot!(refusal(ElementwiseSum::new(), &dict), @"elementwise_sum: `a` has shape [B, 2] but `b` has [B, 3]; the shapes must be equal");
    insta::assert_snapshot!(refusal(DotProductInteraction::new(), &dict), @"dot_product_interaction: `a` is 2 wide but `b` is 3 wide; fields need equal widths, give all embeddings one dim");
    insta::assert_snapshot!(
        refusal(DotProductInteraction::new(), &Signature::dict([("a", RowShape::Vector(2))])),
        @"dot_product_interaction: there is 1 field, expected at least 2: one alone has nothing to interact with"
    );
    insta::assert_snapshot!(refusal(CosineSimilarity::new(), &vector(2)), @"cosine_similarity: expected named tensors, found a tensor [B, 2]");
    insta::assert_snapshot!(refusal(LogitsTemperature::new(0.0), &vector(2)), @"logits_temperature: temperature is 0, expected a finite number above 0");
    insta::assert_snapshot!(refusal(Filter::names(["deepcontinuous"]), &Signature::dict([("deep_continuous", RowShape::Vector(2))])), @"filter: `deepcontinuous` is not among the inputs; did you mean `deep_continuous`? (there are: deep_continuous)");
    insta::assert_snapshot!(refusal(Filter::tag(Tag::User), &dict), @"filter: expected a raw batch to select tag `user` from, found named tensors {a: [B, 2], b: [B, 3]}; select by name");
    insta::assert_snapshot!(
        refusal(Mlp::new([3]).connect_with_residual(Mlp::new([4]), Activation::Linear), &vector(3)),
        @"sequential.1_residual: the block `mlp` gives a tensor [B, 4] but takes a tensor [B, 3]; the sum needs them equal"
    );
    insta::assert_snapshot!(refusal(Sequential::new([]), &vector(3)), @"sequential: there are no blocks; give at least one");
    let twice = Mlp::new([3])
        .named("same")
        .connect(Mlp::new([3]).named("same"));
    insta::assert_snapshot!(refusal(twice, &vector(3)), @"sequential: two blocks of a sequence are called `same`; give one another name");
}

#[test]
fn columns_that_do_not_fit() {
    insta::assert_snapshot!(model_refusal(ContinuousFeatures::of(["price"]), &movies()), @"continuous_features: column `price` is not in the schema (columns: userId, movieId, title, gender, genres, TE_zipcode_rating, TE_movieId_rating, rating)");
    insta::assert_snapshot!(
        model_refusal(Embeddings::new(4).of(["genres"]).without_combiner(), &movies()),
        @"embeddings: column `genres` holds lists of different lengths, which need a combiner; choose one with `with_combiner`"
    );
    let twice = Parallel::new([
        (
            "deep",
            Embeddings::new(8).of(["userId"]).connect(Concat::new()),
        ),
        (
            "wide",
            Embeddings::new(1).of(["userId"]).connect(Concat::new()),
        ),
    ]);
    insta::assert_snapshot!(model_refusal(twice, &movies()), @"parallel.wide.0_embeddings: column `userId` needs a table `userId` of 13 rows and width 1, but another column or block has a table of that name with 13 rows and width 8; columns that share a domain share a table, so give the blocks `with_own_tables` or the columns domains of their own");
    insta::assert_snapshot!(
        model_refusal(Inputs::new(Embeddings::new(4)), &movies().select(["rating"]).unwrap()),
        @"inputs: the schema has neither categorical nor continuous columns (columns: rating); tag them in the workflow"
    );
    insta::assert_snapshot!(model_refusal(Mlp::new([4]), &movies()), @"mlp: expected tensors, found a raw batch of columns userId, movieId, title, gender, genres, TE_zipcode_rating, TE_movieId_rating, rating; read it with ContinuousFeatures, Embeddings or Inputs first");
}

#[test]
fn tasks_are_checked_with_the_body() {
    let body = || {
        Dlrm::new(Embeddings::new(8))
            .with_bottom(Mlp::new([8]))
            .with_top(Mlp::new([4]))
    };
    let build = |spec: ModelSpec| {
        spec.build(&movies(), &Device::default(), 0)
            .unwrap_err()
            .to_string()
    };
    let missing = ModelSpec::new(body()).with_task(BinaryClassification::new("ratin"));
    insta::assert_snapshot!(build(missing), @"dlrm.heads.ratin: column `ratin` is not in the schema; did you mean `rating`? (columns: userId, movieId, title, gender, genres, TE_zipcode_rating, TE_movieId_rating, rating)");
    let rating = BinaryClassification::new("rating");
    let twice = ModelSpec::new(body())
        .with_task(rating.clone())
        .with_task(rating);
    insta::assert_snapshot!(build(twice), @"dlrm.heads.rating: two tasks of a model have this name; give each its own target");
}
