"""The explorer in Chromium: opened as a file, without the network, and served."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import small_release as small
from browser import SCHEMES, WIDTHS, low_contrast, off_screen, show, until

from theval_datasets.cards.explorer.server import FolderServer
from theval_datasets.cards.explorer.write import write_explorer

N = 300
HOSTILE = "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script>"


@pytest.fixture(scope="module")
def explorer(tmp_path_factory, media) -> Path:
    folder = tmp_path_factory.mktemp("explorer")
    names = [HOSTILE, *(f"clip-{i}" for i in range(1, N))]
    # Chromium plays VP9 wherever it is; H.264 depends on how it was built.
    videos = {HOSTILE: media("vp9"), "clip-1": media("hevc")}
    release = small.write_small_release(
        folder / "release",
        {
            "features": {"train": small.features(N, names)},
            "landmarks": {"train": small.landmarks(names[:3])},
            "ratings": {"train": small.ratings(names[:2])},
            "media": {"train": small.media(videos)},
            "saliency": {"train": small.saliency(names[:1])},
            "motion": {"train": small.motion(["clip-2"])},
            "mesh": {"train": small.meshes(["clip-2"])},
            "leaderboard": {"train": small.leaderboard()},
            "preferences": {"train": small.preferences(["clip-2", HOSTILE])},
        },
        name=HOSTILE,
    )
    write_explorer(release, folder / "view")
    return folder / "view"


@pytest.fixture
def opened(page, explorer):
    page.goto(explorer.joinpath("index.html").as_uri())
    page.wait_for_selector("tr[data-place]")
    return page


def first_cells(page, count=3) -> list[str]:
    return page.eval_on_selector_all(
        "tr[data-place] td:first-child", f"all => all.slice(0, {count}).map(e => e.textContent)"
    )


def open_clip(page, place: int) -> None:
    page.click(f"tr[data-place='{place}']")
    page.wait_for_selector("#facts .values tr")
    page.wait_for_selector("#curves figure, #stage[hidden]", state="attached")


def drawn(page, selector: str) -> int:
    """Number of pixels that a canvas has drawn."""
    return page.eval_on_selector(
        selector,
        """c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data
              .reduce((n, v, i) => n + (i % 4 === 3 && v > 0), 0)""",
    )


def test_only_rows_in_sight_are_in_the_document(opened):
    show(opened, 1024, "light")
    assert opened.inner_text("#count") == f"{N} of {N} clips"
    assert 10 < opened.locator("tr[data-place]").count() < 80
    opened.eval_on_selector("#rows", "e => { e.scrollTop = e.scrollHeight; }")
    opened.wait_for_selector(f"tr[data-place='{N - 1}']")
    assert opened.locator("tr[data-place]").count() < 80


def test_what_a_dataset_says_is_shown_as_text(opened):
    assert first_cells(opened, 1) == [HOSTILE]
    open_clip(opened, 0)
    assert opened.inner_text("#clip-name").strip() == HOSTILE
    assert HOSTILE in opened.title()
    assert opened.locator("main img, #facts img, main script").count() == 0


def test_the_policy_forbids_scripts_of_others(opened):
    opened.complaints.expected.append("Content Security Policy")
    opened.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    opened.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<b onclick=\"window.ran = 1\" id=b>x</b>')"
    )
    opened.evaluate("document.getElementById('b').click()")
    assert opened.evaluate("window.ran") is None
    assert any("Content Security Policy" in text for text in opened.complaints.texts)


def test_sorting_puts_nulls_last_both_ways(opened):
    opened.select_option("#add-filter", "clip_id")
    opened.fill(".chip input", "clip-1")  # clip-1, clip-10 to clip-19, clip-100 to clip-199
    names = {f"clip-{i}" for i in (1, *range(10, 20), *range(100, 200))}
    assert opened.inner_text("#count") == f"{len(names)} of {N} clips"
    for expected in ("ascending", "descending"):
        opened.click("th button:text-matches('^lip_sync')")
        assert opened.get_attribute("th[aria-sort]", "aria-sort") == expected
        place = opened.eval_on_selector_all("th", "all => all.findIndex(e => e.ariaSort)")
        cells = opened.eval_on_selector_all(
            f"tr[data-place] td:nth-child({place + 1})", "all => all.map(e => e.textContent)"
        )
        numbers = [float(cell) for cell in cells]  # no null among the first rows
        assert numbers == sorted(numbers, reverse=expected == "descending")
        opened.eval_on_selector("#rows", "e => { e.scrollTop = e.scrollHeight; }")
        opened.wait_for_selector(f"tr[data-place='{len(names) - 1}']")
        last = opened.locator(f"tr[data-place='{len(names) - 1}'] td >> nth={place}")
        assert last.text_content() == "–"
        assert last.get_attribute("title") == "null: theval_signals:no-audio"
        opened.eval_on_selector("#rows", "e => { e.scrollTop = 0; }")
        opened.wait_for_selector("tr[data-place='0']")
    opened.click("th button:text-matches('^lip_sync')")
    assert opened.locator("th[aria-sort]").count() == 0
    assert first_cells(opened, 2) == ["clip-1", "clip-10"]


@pytest.mark.parametrize("side", [0, 1])
def test_limits_of_a_number_are_included(opened, side):
    values = [1 + (i * 37 % 400) / 100 for i in range(N)]
    opened.select_option("#add-filter", "mos")
    field = opened.locator(".chip input").nth(side)
    for limit in (values[7], values[7] + 0.001, values[7] - 0.001, 0, 9):
        field.fill(f"{limit:.3f}")
        kept = sum(v <= limit if side else v >= limit for v in values)
        assert opened.inner_text("#count") == f"{kept} of {N} clips"
    field.fill("")
    assert opened.inner_text("#count") == f"{N} of {N} clips"


def test_filters_by_category_null_and_text(opened):
    def count() -> int:
        return int(opened.inner_text("#count").split()[0])

    opened.select_option("#add-filter", "generator")
    opened.click(".chip summary")
    opened.check(".choices label:has-text('method b') input")
    assert count() == 100
    opened.select_option("#add-filter", "lip_sync")
    opened.locator(".chip >> nth=1").locator("select").select_option("only")
    assert count() == 20
    opened.locator(".chip >> nth=1").locator("select").select_option("none")
    assert count() == 80
    opened.fill("#search", "CLIP-10")
    assert count() == sum(i % 3 == 1 and i % 5 != 4 for i in (10, *range(100, 110)))
    opened.click("#clear")
    assert count() == N
    assert opened.locator(".chip").count() == 0


def test_a_filter_by_text_of_a_list(opened):
    opened.select_option("#add-filter", "distortions")
    opened.fill(".chip input", "flick")
    assert opened.inner_text("#count") == f"150 of {N} clips"


def test_columns_are_chosen(opened):
    assert "speech_ratio" in opened.inner_text("thead")
    opened.click("#chooser summary")
    opened.uncheck("#columns label:has-text('speech_ratio') input")
    assert "speech_ratio" not in opened.inner_text("thead")


def test_the_keyboard_moves_and_opens(opened):
    opened.focus("#rows")
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "End", "Home", "ArrowDown"):
        opened.keyboard.press(key)
    assert opened.get_attribute("#rows", "aria-activedescendant") == "row-1"
    opened.keyboard.press("Enter")
    assert opened.inner_text("#clip-name") == "clip-1"
    opened.keyboard.press("n")
    until(opened, "document.getElementById('clip-name').textContent === 'clip-2'")
    opened.keyboard.press("Escape")
    assert not opened.is_visible("#clip")
    opened.focus("#tab-table")
    opened.keyboard.press("ArrowRight")
    assert opened.is_visible("#scatter")


def test_a_scatter_says_how_two_columns_agree(opened):
    from theval_datasets.evaluation import plcc, srcc

    opened.click("#tab-scatter")
    opened.select_option("#scatter-x", "lip_sync")
    opened.select_option("#scatter-y", "mos")
    rows = [i for i in range(N) if i % 5 != 4]
    x, y = [(i % 97) / 97 for i in rows], [1 + (i * 37 % 400) / 100 for i in rows]
    text = opened.inner_text("#scatter-facts")
    assert f"{len(rows)} clips" in text
    assert f"PLCC {plcc(x, y):.3f}, SRCC {srcc(x, y):.3f}" in text
    assert drawn(opened, "#scatter") > 1000
    opened.focus("#scatter")
    opened.keyboard.press("ArrowRight")
    assert "Chosen: " in opened.inner_text("#scatter-facts")
    opened.keyboard.press("Enter")
    assert opened.is_visible("#clip")


def test_distributions_by_generator(opened):
    opened.click("#tab-distribution")
    opened.select_option("#distribution-value", "mos")
    label = opened.get_attribute("#distribution", "aria-label")
    for k, name in enumerate("abc"):
        values = [1 + (i * 37 % 400) / 100 for i in range(k, N, 3)]
        assert f"method {name}: median {float(f'{np.median(values):.5g}'):g}, 100 clips" in label
    assert drawn(opened, "#distribution") > 1000


def test_a_clip_with_everything(opened):
    open_clip(opened, 0)
    until(opened, "document.getElementById('video').readyState >= 2")
    assert opened.locator("#curves canvas").count() == 4
    assert drawn(opened, "#overlay") > 300
    facts = opened.inner_text("#facts")
    assert "6 ratings" in facts
    assert "null" not in opened.locator(".values tr:has-text('lip_sync') td >> nth=1").inner_text()
    assert opened.locator(".still img").count() == 2
    assert "2 marks of annotators" in opened.inner_text("#stills")
    for layer in ("mesh", "tracks", "pose"):
        opened.uncheck(f"#show-{layer}")
    assert drawn(opened, "#overlay") == 0


def test_the_mesh_lies_where_the_frame_has_it(opened):
    """The first point of frame 5, as a share of the picture, and none where there is no face."""
    open_clip(opened, 2)  # without a video: the curves move the frame
    opened.uncheck("#show-pose")
    opened.uncheck("#show-mesh")
    box = """c => {
      const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height);
      let [left, right, bottom] = [1e9, -1, -1];
      for (let i = 3; i < data.length; i += 4) if (data[i]) {
        const [x, y] = [(i >> 2) % c.width, Math.floor((i >> 2) / c.width)];
        if (y > c.height * 0.4) { left = Math.min(left, x); right = Math.max(right, x); }
        bottom = Math.max(bottom, y);
      }
      return [left / c.width, right / c.width, bottom / c.height];
    }"""
    shift = np.linspace(0.1, 0.4, 50)
    opened.focus("#curves canvas")
    for frame in range(12):
        left, right, bottom = opened.eval_on_selector("#overlay", box)
        if frame == 10:
            assert right < 0
        else:
            assert left == pytest.approx(shift[frame], abs=0.01)
            assert right == pytest.approx(shift[frame] + 21 / 44, abs=0.01)
            assert bottom == pytest.approx(0.2 + (467 // 22) / 44, abs=0.01)
        opened.keyboard.press("ArrowRight")


def test_the_curves_seek_and_the_cursor_follows_the_video(opened):
    open_clip(opened, 0)
    until(opened, "document.getElementById('video').readyState >= 2")
    box = opened.locator("#curves canvas >> nth=0").bounding_box()
    opened.mouse.click(box["x"] + 44 + (box["width"] - 52) / 2, box["y"] + 50)
    until(opened, "Math.abs(document.getElementById('video').currentTime - 0.98) < 0.1")
    assert float(opened.inner_text("#clock").split()[0]) == pytest.approx(0.98, abs=0.1)
    opened.evaluate("document.getElementById('video').muted = true")
    opened.evaluate("document.getElementById('video').play()")
    until(opened, "parseFloat(document.getElementById('clock').textContent) > 1.3")


def test_a_codec_that_the_browser_lacks_is_said(opened):
    open_clip(opened, 1)
    until(opened, "document.getElementById('stage-note').textContent.includes('codec')")
    assert opened.is_visible("#poster")
    opened.focus("#curves canvas")
    opened.keyboard.press("ArrowRight")
    assert opened.inner_text("#clock") == "0.04 s"


def test_why_values_are_null(opened):
    open_clip(opened, 4)
    row = opened.locator(".values tr:has(td:text-is('lip_sync'))")
    assert row.locator("td >> nth=1").inner_text() == "null: theval_signals:no-audio"
    assert "theval_signals:no-audio" in opened.inner_text("#facts h3:has-text('Why') + ul")


def test_a_link_opens_a_clip(page, explorer):
    page.goto(explorer.joinpath("index.html").as_uri() + "#clip=clip-7")
    page.wait_for_selector("#facts .values tr")
    assert page.inner_text("#clip-name") == "clip-7"


def test_a_page_without_its_data_says_so(page, tmp_path, explorer):
    import shutil

    shutil.copy(explorer / "index.html", tmp_path)
    shutil.copytree(explorer / "code", tmp_path / "code")
    page.complaints.expected.append("ERR_FILE_NOT_FOUND")
    page.goto((tmp_path / "index.html").as_uri())
    until(page, "document.getElementById('about').textContent.includes('cannot be loaded')")


@contextmanager
def served(folder):
    server = FolderServer(folder)
    yield server.address
    server.stop()


def test_served_videos_seek_by_ranges(page, explorer):
    statuses = []
    page.on(
        "response",
        lambda answer: statuses.append(answer.status) if "video-" in answer.url else None,
    )
    with served(explorer) as address:
        page.goto(address)
        page.wait_for_selector("tr[data-place]")
        open_clip(page, 0)
        until(page, "document.getElementById('video').readyState >= 2")
        page.evaluate("document.getElementById('video').currentTime = 1.5")
        until(page, "parseFloat(document.getElementById('clock').textContent) > 1.4")
    assert set(statuses) <= {200, 206}
    assert statuses


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_readable_at_any_width(opened, width, scheme):
    show(opened, width, scheme)
    for tab in ("scatter", "distribution", "table"):
        opened.click(f"#tab-{tab}")
        assert low_contrast(opened) == []
        assert off_screen(opened) == []
    opened.select_option("#add-filter", "generator")
    opened.click(".chip summary")
    assert off_screen(opened) == []
    for place in (0, 2):  # one with a video and a still, one with motion and meshes
        open_clip(opened, place)
        assert low_contrast(opened) == []
        assert off_screen(opened) == []
        opened.click("#clip-close")


def test_an_empty_selection_is_no_error(opened):
    opened.fill("#search", "nothing has this")
    assert opened.inner_text("#count") == f"0 of {N} clips"
    for tab in ("scatter", "distribution", "table"):
        opened.click(f"#tab-{tab}")
    opened.focus("#rows")
    opened.keyboard.press("Enter")
    assert not opened.is_visible("#clip")


def test_a_table_without_clips_numbers_or_texts(page, tmp_path):
    release = small.write_small_release(
        tmp_path / "release", {"leaderboard": {"train": pa.table({"model": ["a", None]})}}
    )
    write_explorer(release, tmp_path / "view")
    page.goto((tmp_path / "view/index.html").as_uri())
    page.wait_for_selector("tr[data-place]")
    for tab in ("scatter", "distribution", "table"):
        page.click(f"#tab-{tab}")
    page.click("tr[data-place='1']")
    page.wait_for_selector("#facts .values tr")
    assert page.inner_text("#clip-name") == "row 2"


def view_of(folder: Path, clip: Path) -> Path:
    """The explorer of a release with one clip."""
    release = small.write_small_release(
        folder / "release",
        {
            "features": {"train": small.features(1)},
            "landmarks": {"train": small.landmarks(["clip-0"])},
            "media": {"train": small.media({"clip-0": clip})},
        },
    )
    write_explorer(release, folder / "view")
    return folder / "view"


def wait_for_first_frame(page) -> None:
    until(page, "!document.getElementById('video').hasAttribute('aria-busy')")
    if "codec" in page.inner_text("#stage-note"):
        pytest.skip("this Chromium does not play H.264")


def is_white(page, frame: int) -> bool:
    """Whether the picture is white once the given frame is shown."""
    until(
        page,
        f"!document.getElementById('video').seeking && Math.abs(parseFloat(document.getElementById('clock').textContent) - {frame / 25}) < 0.011",
    )
    page.wait_for_timeout(30)
    darkest = page.evaluate(
        """() => {
          const c = Object.assign(document.createElement('canvas'), {width: 8, height: 8});
          const pen = c.getContext('2d');
          pen.drawImage(document.getElementById('video'), 0, 0, 8, 8);
          return Math.min(...pen.getImageData(0, 0, 8, 8).data);
        }"""
    )
    return darkest > 230


@pytest.mark.parametrize("clip", ["plain", "late_video", "late_audio"])
def test_second_0_is_the_first_frame_of_the_picture(page, tmp_path, media, clip):
    """The scene is white from second 1.0 to 1.2 of the picture's own time, whatever comes first."""
    with served(view_of(tmp_path, media(clip))) as address:
        page.goto(address)
        page.wait_for_selector("tr[data-place]")
        open_clip(page, 0)
        wait_for_first_frame(page)
        page.focus("#curves canvas")
        white = []
        for frame in range(1, 34):
            page.keyboard.press("ArrowRight")
            if is_white(page, frame):
                white.append(frame)
        assert white == list(range(25, 30))


@pytest.mark.parametrize("before", [1, 24])
@pytest.mark.parametrize("clip", ["plain", "late_video"])
def test_a_seek_before_the_first_frame_moves_no_time(page, tmp_path, media, clip, before):
    waiting, held = [], [True]
    with served(view_of(tmp_path, media(clip))) as address:
        page.route("**/*.mp4", lambda route: waiting.append(route) if held else route.continue_())
        page.goto(address)
        page.wait_for_selector("tr[data-place]")
        open_clip(page, 0)
        page.focus("#curves canvas")
        for _ in range(before):
            page.keyboard.press("ArrowRight")
        assert page.inner_text("#clock") == f"{before / 25:.2f} s"
        assert waiting
        held.clear()
        for route in waiting:
            route.continue_()
        wait_for_first_frame(page)
        for frame in range(before + 1, 25):
            page.keyboard.press("ArrowRight")
            is_white(page, frame)
        assert not is_white(page, 24)
        page.keyboard.press("ArrowRight")
        assert is_white(page, 25)


def choose_table(page, name: str) -> None:
    page.select_option("#table-name", name)
    page.wait_for_selector(f"#about:text-is('The table {name}.')")  # the page is loaded again
    page.wait_for_selector("tr[data-place]")


def test_other_tables_are_chosen(opened):
    choose_table(opened, "leaderboard")
    assert first_cells(opened) == ["A", "B", "C"]
    assert opened.inner_text("#about") == "The table leaderboard."
    assert opened.inner_text("#count") == "3 of 3 rows"
    assert opened.inner_text("tr[data-place='0'] >> text=0.91235")
    opened.click("tr[data-place='0']")  # is about no clip
    assert not opened.is_visible("#clip")
    opened.click("#tab-scatter")
    assert "3 rows with both values" in opened.inner_text("#scatter-facts")
    opened.select_option("#table-name", "features")
    opened.wait_for_selector("#about:text-is('The table features.')")
    opened.wait_for_selector("tr[data-place]")
    assert opened.inner_text("#count") == f"{N} of {N} clips"


def test_a_vote_leads_to_its_clip_and_the_next(opened):
    choose_table(opened, "preferences")
    open_clip(opened, 0)
    assert opened.inner_text("#clip-name") == "clip-2"
    assert opened.url.endswith("#table=preferences&clip=clip-2")
    opened.click("#clip-next")
    until(opened, "document.getElementById('clip-name').textContent.includes('onerror')")
    assert opened.is_disabled("#clip-next")  # the last vote is on a clip that is not there
    assert not opened.is_disabled("#clip-previous")
    opened.click("#clip-close")
    until(opened, "location.hash === '#table=preferences'")


def test_next_goes_on_and_on(opened):
    open_clip(opened, 1)
    for number in (2, 3, 4):
        opened.keyboard.press("n")
        until(opened, f"document.getElementById('clip-name').textContent === 'clip-{number}'")
    opened.keyboard.press("p")
    until(opened, "document.getElementById('clip-name').textContent === 'clip-3'")


def test_motion_is_drawn_by_frames(opened):
    open_clip(opened, 2)
    canvas = opened.locator("canvas[aria-label='Jaw, frame']")
    canvas.wait_for()
    assert canvas.get_attribute("aria-valuetext") == "frame 0"
    canvas.focus()
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
    assert canvas.get_attribute("aria-valuetext") == "frame 3"
    assert "at frame 3: jaw 3°" in opened.inner_text("#curves")
    assert opened.locator("#curves canvas[aria-label$=', frame']").count() == 3
    assert drawn(opened, "canvas[aria-label='Expression, frame']") > 100


_MESH_PIXELS = """c => { const gl = c.getContext('webgl2'); const n = gl.drawingBufferWidth * gl.drawingBufferHeight;
  const data = new Uint8Array(4 * n);
  gl.readPixels(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight, gl.RGBA, gl.UNSIGNED_BYTE, data);
  let bright = 0; for (let i = 0; i < n; i++) bright += data[4 * i] > 60; return bright / n; }"""


def test_meshes_are_drawn_and_turned(opened):
    open_clip(opened, 2)
    canvas = opened.locator("canvas.mesh")
    canvas.wait_for(state="attached")
    if not opened.evaluate("Boolean(document.createElement('canvas').getContext('webgl2'))"):
        pytest.skip("this Chromium has no WebGL")
    opened.wait_for_selector("#stills >> text=Frame 0 of 20, of which 16 are shown")
    first = canvas.evaluate(_MESH_PIXELS)
    assert first > 0.01
    opened.locator("input[aria-label='Frame of the mesh']").fill("15")
    opened.wait_for_selector("#stills >> text=Frame 19 of 20")
    assert canvas.evaluate(_MESH_PIXELS) > first  # it grows
    before = canvas.screenshot()
    canvas.focus()
    opened.keyboard.press("ArrowLeft")
    assert canvas.screenshot() != before
    assert opened.inner_text("#clip-name") == "clip-2"


def test_values_of_a_clip_are_rounded(opened):
    open_clip(opened, 3)
    cell = opened.locator("#facts .values tr:has(td:text-is('lip_sync')) td").nth(1)
    assert cell.text_content() == "0.030928"
    assert cell.get_attribute("title") == str(3 / 97)
