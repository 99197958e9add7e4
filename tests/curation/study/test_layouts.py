"""Ratings tables as people and programs save them."""

import unicodedata

import polars as pl
import pytest

from theval_datasets.curation.study.layouts import no_headings
from theval_datasets.curation.study.tables import TableOptions, from_frame, read_ratings
from theval_datasets.errors import RatingsError


def scores(ratings):
    """Subject, clip and dimension to score."""
    return {
        (ratings.subjects[s], ratings.clips[c], ratings.dimensions[d]): float(value)
        for s, c, d, value in zip(
            ratings.subject, ratings.clip, ratings.dimension, ratings.score, strict=True
        )
    }


def saved(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "r.csv"
    path.write_bytes(text.encode(encoding))
    return read_ratings(path)


WIDE = {"Rater 1": [1, 2], "Rater 2": [3, 4]}


@pytest.mark.parametrize(
    "name",
    ["Mean", "MOS", "mos (1-5)", "SD", "Std", "std_dev", "Std. Dev.", "CI", "95% CI", "CI95", "N", "n",
     "Total", "Age", "Gender", "Duration", "Median", "Variance", "Comment", "MOS_mean", "mean_score",
     "CI low", "ci_upper", "Lower CI", "num_ratings", "N raters", "Grand total", "Mean±SD", "z-score",
     "IQR", "σ", "μ", "Mittelwert", "Écart-type", "Edad", "What is your age?", "Age (years)",
     "meanscore", "MeanScore", "ScoreMean", "MOSstd", "mosci95", "CIhigh", "ci95lower", "upper95", "lower_95",
     "#", "Ø", "no. of ratings", "n_subj", "Counts", "Range", "p-value", "Overall", "Final score", "m/f",
     "dur", "Kommentar", "Moy.", "平均", "標準偏差", "年龄", "Возраст", "Среднее", "Średnia"],
)  # fmt: skip
def test_statistics_are_neither_raters_nor_clips(name):
    with pytest.raises(RatingsError, match=r"holds a statistic"):
        from_frame(pl.DataFrame({"clip": ["a", "b"], **WIDE, name: [2, 3]}))
    with pytest.raises(RatingsError, match=r"holds a statistic"):
        from_frame(
            pl.DataFrame({"subject": ["a", "b"], "clip01": [1, 2], "clip02": [1, 2], name: [3, 4]})
        )
    with pytest.raises(
        RatingsError, match=r"is the name of a statistic.*\(row 3|\(row 3.*statistic"
    ):
        from_frame(
            pl.DataFrame({"clip": ["a", "b", name], "Rater 1": [1, 2, 3], "Rater 2": [3, 4, 5]})
        )
    with pytest.raises(RatingsError, match=r"is the name of a statistic"):
        from_frame(pl.DataFrame({"subject": ["a", name], "clip": ["x", "x"], "score": [1, 2]}))


@pytest.mark.parametrize(
    "name",
    ["Unnamed: 0", "ID", "Index", "row", "fps", "Width", "Bitrate", "PSNR", "Group", "Trial number", "Year",
     "Reaction time (ms)", "rejected", "序号"],
)  # fmt: skip
def test_facts_of_rows_and_files_are_no_headings(name):
    with pytest.raises(RatingsError, match=r"holds a statistic or a fact"):
        from_frame(pl.DataFrame({"clip": ["a", "b"], **WIDE, name: [2, 3]}))
    with pytest.raises(RatingsError, match=r"holds a statistic or a fact"):
        from_frame(pl.DataFrame({"subject": ["a", "b"], "clip01": [1, 2], name: [3, 4]}))
    table = {"subject": ["a", "a"], "clip": ["x", name], "score": [1, 2]}
    assert name in from_frame(pl.DataFrame(table)).clips  # but a clip can have such a name


@pytest.mark.parametrize(
    "name",
    ["Meanie", "Andy", "N1", "Agent", "Sid", "Rater N", "Eta", "low 2", "Semin", "Minse", "Mosse", "Perse",
     "Cimin", "Maxine", "Sumin", "Summer", "Countess", "P95", "Mr Range"],
)  # fmt: skip
def test_names_that_resemble_statistics_are_raters(name):
    ratings = from_frame(pl.DataFrame({"clip": ["a", "b"], **WIDE, name: [2, 3]}))
    assert name in ratings.subjects


def test_numbered_names_are_never_statistics():
    """Letters and words that people number subjects and clips by, in any case and with zeros."""
    starts = [
        *"abcdefghijklmopqrstuvwxyz",
        "subj",
        "sub",
        "clip",
        "video",
        "rater",
        "user",
        "participant",
        "gen",
        "id",
    ]
    names = [f"{start}{n:0{width}d}" for start in starts for n in range(1, 130) for width in (1, 3)]
    names += [name.upper() for name in names]
    assert [name for name in names if name in no_headings()] == []


@pytest.mark.parametrize(
    "names",
    [("clip01", "clip02"), ("video_0", "video_1"), ("Rater 1", "Rater 2"), ("participant_1", "participant_2"),
     ("Subject A", "Subject B"), ("Scorer1", "Scorer2"), ("file-1", "file-2"), ("observer#1", "observer#2"),
     ("Rater I", "Rater II"), ("Rater one", "Rater two"), ("Rater 1 score", "Rater 2 score"), ("clip1.mp4", "clip2.mp4"),
     ("Rater1a", "Rater2b"), ("videos/clip01.mp4", "videos/clip02.mp4")],
)  # fmt: skip
def test_numbered_series_are_no_typing_errors(names):
    by_clip = pl.DataFrame({"clip_id": ["x", "y"], names[0]: [1, 2], names[1]: [3, 4]})
    assert from_frame(by_clip).subjects == names
    by_subject = pl.DataFrame({"subject": ["x", "y"], names[0]: [1, 2], names[1]: [3, 4]})
    assert from_frame(by_subject).clips == names


def test_a_typing_error_among_a_series_is_still_one():
    with pytest.raises(RatingsError, match="'scroe'; did you mean 'score'"):
        from_frame(pl.DataFrame({"clip_id": ["x"], "Rater 1": [1], "Rater 2": [2], "scroe": [3]}))


def test_the_corner_of_a_matrix_may_be_empty(tmp_path):
    ratings = saved(tmp_path, ";Rater 1;Rater 2\na;4,5;3\nb;2;1\n")
    assert scores(ratings)["Rater 1", "a", "quality"] == 4.5
    by_subject = saved(tmp_path, ",clip01,clip02\nAnn,4,3\nBob,2,1\n")
    assert by_subject.clips == ("clip01", "clip02")
    assert saved(tmp_path, ",Rater I,Rater II\na,4,3\n").subjects == ("Rater I", "Rater II")
    assert saved(tmp_path, ",user1,user2\na,4,3\n").subjects == ("user1", "user2")
    files = saved(tmp_path, ",v/Clip 1.mp4,v/Clip 2.mp4\nAnn,4,3\n")
    assert files.clips == ("v/Clip 1.mp4", "v/Clip 2.mp4")
    with pytest.raises(RatingsError, match="a column has no name"):
        saved(tmp_path, ",Ann,Bob\na,4,3\n")


@pytest.mark.parametrize(
    "names",
    [("subject", "clip_id", "score"), ("SubjectID", "ClipID", "Score"), ("workerId", "VideoName", "Rating"),
     ("Participant-ID", "FILE NAME", "opinion score"), ("user_ID", "stimulusId", "OpinionScore")],
)  # fmt: skip
def test_names_of_columns_in_any_spelling(names):
    ratings = from_frame(pl.DataFrame([("a", "x", 3), ("b", "x", 4)], list(names), orient="row"))
    assert (ratings.subjects, ratings.clips) == (("a", "b"), ("x",))


@pytest.mark.parametrize(
    "headings",
    [("Ann quality", "Bob quality", "Ann realism", "Bob realism"), ("quality_1", "realism_1"),
     ("Quality [clip01]", "Authenticity [clip01]"), ("P1-Naturalness", "P1-Quality")],
)  # fmt: skip
@pytest.mark.parametrize("row", ["subject", "clip"])
def test_headings_of_several_dimensions_are_refused(row, headings):
    table = pl.DataFrame({row: ["x", "y"], **{name: [1, 2] for name in headings}})
    with pytest.raises(RatingsError, match="are two dimensions of one"):
        from_frame(table)


@pytest.mark.parametrize("headings", [("Ann quality", "Bob quality"), ("quality_1", "quality_2")])
def test_headings_of_one_dimension_are_names(headings):
    table = pl.DataFrame({"clip": ["x", "y"], **{name: [1, 2] for name in headings}})
    assert from_frame(table).subjects == headings


def test_dimensions_without_clips_are_refused():
    with pytest.raises(RatingsError, match="are dimensions, and no column names the clips"):
        from_frame(pl.DataFrame({"subject": ["a"], "quality": [1], "authenticity": [2]}))


def long(subjects, clips=None):
    clips = clips or [f"c{i}" for i in range(len(subjects))]
    return pl.DataFrame({"subject": subjects, "clip": clips, "score": [1.0] * len(subjects)})


def test_ids_are_stripped_and_composed():
    decomposed = unicodedata.normalize("NFD", "Zoë")
    ratings = from_frame(long([f" {decomposed}\u00a0", "\ufeffAnn"], ["\u2003x ", "y"]))
    assert ratings.subjects == ("Ann", "Zoë")
    assert ratings.clips == ("x", "y")


@pytest.mark.parametrize(
    ("first", "second"),
    [("S1", "S1 "), ("S1", "S1\u00a0"), ("001", "1"), ("S01", "S1"), ("anna", "Anna"), ("Zoë", "Zoe\u0308"),
     ("a b", "a  b"), ("a\u00a0b", "a b"), ("a b", "a_b"), ("S1", "S\u00ad1"), ("S1", "\u202aS1"), ("1", "1.0")],
)  # fmt: skip
def test_near_equal_ids_are_an_error_that_names_both(first, second):
    for table in (long([first, second]), long(["a", "b"], [first, second])):
        with pytest.raises(RatingsError, match="may be two spellings of one name") as caught:
            from_frame(table)
        look_alike = unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second)
        for name in (first, second):
            assert (ascii if look_alike else repr)(name) in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("S1", "S2"),
        ("S1", "S10"),
        ("a", "b"),
        ("p1_v0", "p1_v"),
        ("0", "00a"),
        ("a-b", "a_b"),
        ("1.5", "1"),
        ("v1.0", "v1"),
    ],
)
def test_different_ids_are_told_apart(first, second):
    assert len(from_frame(long([first, second])).subjects) == 2


def test_clips_with_and_without_suffix_are_near_equal():
    with pytest.raises(RatingsError, match=r"'CLIP00.mp4' and 'clip00'"):
        from_frame(long(["a", "b"], ["clip00", "CLIP00.mp4"]))
    assert len(from_frame(long(["a.mp4", "a"])).subjects) == 2  # suffixes are of clips alone
    with pytest.raises(RatingsError, match=r"'./a.mp4' and 'a'"):
        from_frame(long(["a", "b"], ["./a.mp4", "a"]))


def test_whole_numbers_as_ids_have_no_decimals():
    assert from_frame(long([1.0, 2.0])).subjects == ("1", "2")


def test_decimal_commas_and_points(tmp_path):
    assert saved(tmp_path, "subject;clip;score\na;x;4,5\nb;x;3\n").score.tolist() == [4.5, 3]
    with pytest.raises(RatingsError, match=r"'4,5' in row 1 has a decimal comma, '3.5' in row 2"):
        saved(tmp_path, "subject;clip;score\na;x;4,5\nb;x;3.5\n")


@pytest.mark.parametrize("cell", ["", "NA", "n/a", "#N/A", "NULL", "None", "-", "."])
def test_cells_that_stand_for_a_missing_rating(tmp_path, cell):
    ratings = saved(tmp_path, f"subject,clip,score\na,x,{cell}\nb,x,4\nc,x,5\n")
    assert (ratings.score.tolist(), ratings.n_missing) == ([4, 5], 1)


@pytest.mark.parametrize("cell", ["NaN", "inf", "five", "--"])
def test_other_words_are_no_missing_ratings(tmp_path, cell):
    with pytest.raises(RatingsError, match="not finite numbers"):
        saved(tmp_path, f"subject,clip,score\na,x,{cell}\nb,x,4\nc,x,5\n")


def test_errors_say_the_row_of_the_file(tmp_path):
    with pytest.raises(RatingsError, match="'five' in row 3"):
        saved(tmp_path, "subject,clip,score\na,x,4\n,,\nb,x,five\n")


def test_rows_of_wide_tables_are_those_of_the_file():
    with pytest.raises(RatingsError, match="'bad' in row 2"):
        from_frame(
            pl.DataFrame({"clip": ["a", "b"], "Rater 1": ["1", "bad"], "Rater 2": ["1", "2"]})
        )


def test_a_declared_missing_code_is_not_rated():
    table = pl.DataFrame({"subject": ["a", "b", "c"], "clip": ["x"] * 3, "score": ["-1", "4", "5"]})
    with pytest.raises(RatingsError, match=r"-1 in row 1.*--missing-code -1"):
        from_frame(table)
    ratings = from_frame(table, TableOptions(missing_codes=(-1, 99)))
    assert ratings.score.tolist() == [4, 5]
    assert ratings.n_missing == 1


AVRATE = """rating;rating_type;timestamp;user_ID;video_ID;video_name
4;quality;2024-05-01 10:00:00 000001;1;0;['videos/b.mkv']
2;realism;2024-05-01 10:00:00 000001;1;0;['videos/b.mkv']
5;quality;2024-05-01 10:00:09 000001;1;1;['videos/a.mkv']
3;realism;2024-05-01 10:00:09 000001;1;1;['videos/a.mkv']
1;quality;2024-05-01 11:00:00 000001;2;0;['videos/a.mkv']
2;realism;2024-05-01 11:00:00 000001;2;0;['videos/a.mkv']
"""


def test_ratings_of_avrate_go_by_file_not_by_place_in_the_list(tmp_path):
    ratings = saved(tmp_path, AVRATE)
    assert scores(ratings)["1", "videos/a.mkv", "quality"] == 5
    assert scores(ratings)["2", "videos/a.mkv", "quality"] == 1
    assert ratings.dimensions == ("quality", "realism")
    assert "AVrateNG" in ratings.to_text()


def test_a_registration_in_a_fork_of_avrate_is_no_rating(tmp_path):
    text = (
        "rating;rating_type;stimuli_ID;stimuli_file;timestamp;user_ID\n"
        "-1;user_registered;-1;;t;7\n4;quality;0;a.mp4;t;7\n3;quality;0;a.mp4;t;8\n"
    )
    assert scores(saved(tmp_path, text)) == {
        ("7", "a.mp4", "quality"): 4, ("8", "a.mp4", "quality"): 3
    }  # fmt: skip


MUSHRA = """session_test_id,email,age,gender,session_uuid,trial_id,rating_stimulus,rating_score,rating_time,rating_comment
demo,ann@example.org,30,female,u-1,trial1,reference,100,5000,
demo,ann@example.org,30,female,u-1,trial1,C1,40,5000,"noisy, dull"
demo,ann@example.org,30,female,u-1,trial2,C1,55,4000,
demo,bob@example.org,31,male,u-2,trial1,C1,35,3000,
"""


def test_results_of_webmushra(tmp_path):
    ratings = saved(tmp_path, MUSHRA)
    assert scores(ratings)["u-1", "trial1/C1", "quality"] == 40
    assert ratings.clips == ("trial1/C1", "trial1/reference", "trial2/C1")
    assert ratings.reference.tolist() == [False, True, False]
    assert ratings.content == ("trial1", "trial1", "trial2")
    assert "webMUSHRA" in ratings.to_text()
    assert "'age'" in ratings.to_text()


def test_webmushra_without_a_session_goes_by_its_questionnaire(tmp_path):
    text = "".join(
        ",".join(cell for i, cell in enumerate(line.split(",")) if i != 4) + "\n"
        for line in MUSHRA.replace('"noisy, dull"', "").splitlines()
    )
    ratings = saved(tmp_path, text)
    assert ratings.subjects == ("subject 1", "subject 2")  # never an address
    assert "@" not in ratings.to_text()


def test_likert_results_of_webmushra(tmp_path):
    text = "session_test_id,participant,trial_id,stimuli_rating,stimuli,rating_time\nd,p1,t1, 4 ,C1,9\nd,p2,t1, 5 ,C1,9\n"  # fmt: skip
    assert saved(tmp_path, text).score.tolist() == [4, 5]


def test_webmushra_without_people_is_refused(tmp_path):
    with pytest.raises(RatingsError, match="no column that tells participants apart"):
        saved(tmp_path, "session_test_id,trial_id,rating_stimulus,rating_score\nd,t,C1,4\n")


GRID = """Timestamp,Email Address,Quality [clip01],Quality [clip02],Authenticity [clip01],Authenticity [clip02],Any remarks?
2024/05/01 10:00:00 AM GMT+2,ann@example.org,5 - Excellent,3,4,2,"Fine,\nthank you"
2024/05/01 10:05:00 AM GMT+2,bob@example.org,4 - Good,2,3,1,
"""


def test_a_grid_of_a_google_form(tmp_path):
    ratings = saved(tmp_path, GRID)
    assert ratings.dimensions == ("Authenticity", "Quality")
    assert scores(ratings)["subject 1", "clip01", "Quality"] == 5
    assert scores(ratings)["subject 2", "clip02", "Authenticity"] == 1
    assert "columns left out: 'Any remarks?'" in ratings.to_text()


def test_questions_of_a_google_form_in_another_language(tmp_path):
    text = "Zeitstempel,clip01,clip02,Age\n01.05.2024 10:00:00,5,Excellent,30\n01.05.2024 11:00:00,4,Poor,31\n"  # fmt: skip
    ratings = saved(tmp_path, text)
    assert ratings.subjects == ("response 1", "response 2")
    assert scores(ratings)["response 1", "clip02", "quality"] == 5
    assert scores(ratings)["response 2", "clip02", "quality"] == 2
    assert "'Age'" in ratings.to_text()


@pytest.mark.parametrize(
    ("time", "address"),
    [("タイムスタンプ", "メールアドレス"), ("时间戳记", "电子邮件地址"), ("Horodateur", "Adresse e-mail"),
     ("Marca temporal", "Dirección de correo electrónico"), ("Zeitstempel", "E-Mail-Adresse")],
)  # fmt: skip
def test_a_google_form_in_the_languages_of_theval(tmp_path, time, address):
    text = f"{time},{address},Quality [clip01],Quality [clip02]\nt,ann@example.org,5,3\nt,bob@example.org,4,2\n"
    ratings = saved(tmp_path, text)
    assert ratings.subjects == ("subject 1", "subject 2")
    assert ratings.clips == ("clip01", "clip02")


def test_a_question_about_the_person_is_no_clip(tmp_path):
    head = "Timestamp,Your age?," + ",".join(f"How good is clip{i}?" for i in range(6))
    ratings = saved(tmp_path, f"{head}\nt,31,5,4,3,2,1,2\nt,33,4,4,3,2,1,1\n")
    assert ratings.clips == tuple(f"How good is clip{i}?" for i in range(6))
    assert "columns left out: 'Your age?'" in ratings.to_text()
    with pytest.raises(RatingsError, match=r"'How old are you\?' is off the scale 1 … 5"):
        saved(
            tmp_path,
            f"{head.replace('Your age?', 'How old are you?')}\nt,31,5,4,3,2,1,2\nt,33,4,4,3,2,1,1\n",
        )


@pytest.mark.parametrize(("row", "noun"), [("subject", "clip"), ("clip", "subject")])
def test_facts_that_no_list_of_names_knows_are_off_the_scale(row, noun):
    names = [f"Part {i}" for i in range(5)]
    table = pl.DataFrame(
        {row: ["a", "b", "c"], **{name: [1, 3, 5] for name in names}, "Schuhgröße": [38, 41, 44]}
    )
    with pytest.raises(
        RatingsError,
        match=f"'Schuhgröße' is off the scale 1 … 5 of all other {noun}s, from 38 to 44",
    ):
        from_frame(table)
    assert from_frame(table, TableOptions(score_range=(1, 50))).source.scale.declared
    assert len(from_frame(table, TableOptions(ignore=["Schuhgröße"]))) == 15


def test_a_remark_among_the_answers_of_a_form_is_an_error(tmp_path):
    with pytest.raises(RatingsError, match="'very nice' in row 1"):
        saved(tmp_path, "Timestamp,clip01,clip02,Thoughts\nt,5,4,very nice\nt,4,4,\n")


def test_the_summary_says_everything_that_was_understood(tmp_path):
    text = "subject;clip;score\na;x;4,5\nb;x;3\na;y;0\n"
    assert saved(tmp_path, text, "utf-16").to_text() == (
        "CSV, UTF-16, semicolon; one row per rating; 2 subjects, 2 clips; scale 0 … 5 (apparent); "
        "dimension quality"
    )


@pytest.mark.parametrize(
    "header",
    ["Teilnehmer;Video;Bewertung", "Versuchsperson;Dateiname;Urteil", "Sujet;Vidéo;Évaluation",
     "Participante;Vídeo;Puntuación", "Partecipante;Video;Punteggio", "被试,视频,评分", "受试者,视频名称,分数",
     "参加者,動画,評価", "被験者,刺激,評点", "VIDEO;teilnehmer-ID;score"],
)  # fmt: skip
def test_headings_in_other_languages(tmp_path, header):
    delimiter = ";" if ";" in header else ","
    rows = [["b", "x", "2"], ["b", "y", "3"], ["c", "x", "4"], ["c", "y", "5"]]
    if header.startswith("VIDEO"):
        rows = [[clip, subject, score] for subject, clip, score in rows]
    table = saved(tmp_path, "\n".join([header, *map(delimiter.join, rows)]))
    assert scores(table) == {
        ("b", "x", "quality"): 2, ("b", "y", "quality"): 3,
        ("c", "x", "quality"): 4, ("c", "y", "quality"): 5,
    }  # fmt: skip


GORILLA = (
    "Event Index,UTC Timestamp,Participant Public ID,Participant Private ID,Task Name,Trial Number,Screen "
    "Name,Zone Type,Reaction Time,Response,video\n"
    "1,16,s1,9,rate,1,rate,scale,812.2,2,a.mp4\n2,17,s1,9,rate,2,rate,scale,700.1,5,b.mp4\n"
)
PSYCHOPY = (
    "movieFile,trials.thisRepN,trials.thisTrialN,trials.thisN,trials.thisIndex,slider.response,slider.rt,"
    "participant,session,date,expName,psychopyVersion,frameRate,\n"
    "a.mp4,0,0,0,1,2,1.2,s1,001,2026-01-01,rate,2024.1,59.9,\n"
    "b.mp4,0,1,1,0,5,0.9,s1,001,2026-01-01,rate,2024.1,59.9,\n"
)
JSPSYCH = (
    "rt,stimulus,response,trial_type,trial_index,time_elapsed,internal_node_id,subject\n"
    "900,a.mp4,2,video-slider-response,1,1000,0.0-1.0,s1\n"
    "950,b.mp4,5,video-slider-response,2,2000,0.0-2.0,s1\n"
)


@pytest.mark.parametrize(("text", "n_left_out"), [(GORILLA, 8), (PSYCHOPY, 9), (JSPSYCH, 5)])
def test_exports_of_experiment_programs(tmp_path, text, n_left_out):
    table = saved(tmp_path, text)
    assert list(scores(table).values()) == [2, 5]
    assert table.subjects == ("s1",)
    assert len(table.source.left_out) == n_left_out


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [
        ("record_id,clip01,clip02,rating_complete", "1,3,4,2", "rating_complete"),
        ("Response ID,Last page,clip01,clip02", "1,3,4,2", "Last page"),
        ("Response ID,Seed,clip01,clip02", "1,3,4,2", "Seed"),
        ("ResponseId,Progress,Q1,Q2", "R_1,5,4,2", "Progress"),
        ("participant,TIME001,AB01_01,AB01_02", "1,3,4,2", "TIME001"),
    ],
)
def test_what_survey_programs_add_is_no_clip(tmp_path, header, row, name):
    with pytest.raises(RatingsError, match=rf"the column '{name}' holds a statistic or a fact"):
        saved(tmp_path, f"{header}\n{row}\n")


def test_all_columns_without_ratings_are_named_at_once(tmp_path):
    with pytest.raises(
        RatingsError, match="--ignore 'StartDate' --ignore 'Status' --ignore 'Finished'"
    ):
        saved(tmp_path, "ResponseId,StartDate,Status,Q1,Q2,Finished\nR_1,2026,0,4,2,1\n")


def test_a_column_that_pandas_numbered_is_left_out(tmp_path):
    table = saved(tmp_path, ",subject,clip,score\n0,b,x,2\n1,b,y,3\n")
    assert list(scores(table).values()) == [2, 3]
    with pytest.raises(RatingsError, match="unknown column ''"):
        saved(tmp_path, ",subject,clip,score\n7,b,x,2\n3,b,y,3\n")


def test_a_missing_column_says_how_to_name_it(tmp_path):
    with pytest.raises(
        RatingsError, match=r"missing subject, clip_id, score.*--column subject=NAME"
    ):
        saved(tmp_path, "uczestnik,film,ocena\n1,x,2\n")
