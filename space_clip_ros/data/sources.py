"""Where the field's data and weights come from: the official archives, in one table."""

from __future__ import annotations

from dataclasses import dataclass

from space_clip_ros.data.eigen import TEST_DRIVES
from space_clip_ros.errors import InputError

_KITTI = "https://s3.eu-central-1.amazonaws.com/avg-kitti"
_NYU = "https://horatio.cs.nyu.edu/mit/silberman"
_CLIP = "https://openaipublic.azureedge.net/clip/models"
_CLIP_SHA256 = "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"

# Drives of the Eigen split's training list (Eigen et al. 2014; as the field's KITTI download lists name them).
_TRAIN_DRIVES = {
    "2011_09_26": (*(1, 5, 11, 14, 15, 17, 18, 19, 22, 28, 32, 35, 39, 51, 57, 60, 61, 70, 79, 87, 91, 95, 104, 113),),
    "2011_09_28": (1,),
    "2011_09_29": (4, 26),
    "2011_09_30": (20, 28, 33, 34),
    "2011_10_03": (34, 42),
}


@dataclass(frozen=True)
class Source:
    """One file to download.

    Attributes:
        url: its official address.
        name: what it is called here.
        sha256: its published checksum; None where its publisher gives none, and then the first download's is kept and
            later ones are held against it.
        unpack: folder, relative to the target, that the archive is unpacked into; None for a file that stays as it is.
        skip: parts of archived paths that are left out.
    """

    url: str
    name: str
    sha256: str | None = None
    unpack: str | None = None
    skip: tuple[str, ...] = ()


def sources(what: str) -> list[Source]:
    """Return the files that ``kitti``, ``nyu`` or ``clip`` consists of.

    KITTI: raw drives of the Eigen split with their calibration (Geiger et al., IJRR 2013), and the annotated depth
    (Uhrig et al., 3DV 2017). NYU Depth V2: the labelled set and its official split (Silberman et al., ECCV 2012).
    CLIP: OpenAI's ViT-B/16 (Radford et al., ICML 2021).

    Raises:
        InputError: nothing by that name.
    """
    if what not in _SETS:
        raise InputError(f"can download {', '.join(_SETS)}, not {what!r}")
    return list(_SETS[what])


def _kitti() -> list[Source]:
    train = (f"{date}_drive_{number:04d}_sync" for date, numbers in _TRAIN_DRIVES.items() for number in numbers)
    drives = sorted({*train, *TEST_DRIVES})
    found = []
    for date in sorted({drive[:10] for drive in drives}):
        found.append(Source(f"{_KITTI}/raw_data/{date}_calib.zip", f"{date}_calib.zip", unpack="."))
        # The grey cameras are half of a drive's pictures, and nothing here reads them.
        found += [
            Source(
                f"{_KITTI}/raw_data/{drive.removesuffix('_sync')}/{drive}.zip",
                f"{drive}.zip",
                unpack=".",
                skip=("/image_00/", "/image_01/"),
            )
            for drive in drives
            if drive.startswith(date)
        ]
    annotated = Source(f"{_KITTI}/data_depth_annotated.zip", "data_depth_annotated.zip", unpack="data_depth_annotated")
    return [*found, annotated]


_SETS = {
    "kitti": tuple(_kitti()),
    "nyu": (
        Source(f"{_NYU}/indoor_seg_sup/splits.mat", "splits.mat"),
        Source(f"{_NYU}/nyu_depth_v2/nyu_depth_v2_labeled.mat", "nyu_depth_v2_labeled.mat"),
    ),
    "clip": (Source(f"{_CLIP}/{_CLIP_SHA256}/ViT-B-16.pt", "ViT-B-16.pt", _CLIP_SHA256),),
}
