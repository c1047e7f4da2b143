"""The official addresses of the data sets and weights that can be downloaded."""

from __future__ import annotations

from dataclasses import dataclass

from space_clip_ros.data.eigen_split import TEST_DRIVES, TRAIN_DRIVES
from space_clip_ros.errors import InputError

_KITTI = "https://s3.eu-central-1.amazonaws.com/avg-kitti"
_NYU = "https://horatio.cs.nyu.edu/mit/silberman"
# Large files start at once at this address; drive.google.com asks a person to confirm first.
_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
_CLIP = "https://openaipublic.azureedge.net/clip/models"
_CLIP_SHA256 = "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"


@dataclass(frozen=True)
class RemoteFile:
    """One file to download.

    Attributes:
        url: its official address.
        name: its name on disk.
        sha256: the published checksum; None if the publisher gives none (later downloads are then compared with the
            first one).
        unpack: folder, relative to the target, that the archive is unpacked into; None for a file that stays as it is.
        skip: archived paths that contain one of these are not unpacked.
        levels: how many of the folders above an archived file are kept; 0 keeps its whole path.
        holds: published list whose frames the archive must hold. It stands in for a checksum: such an archive may come
            from any of ``mirrors``, or may have been put into the folder by hand.
        mirrors: other addresses, tried in turn if the first gives nothing; their archives may be packed differently.
    """

    url: str
    name: str
    sha256: str | None = None
    unpack: str | None = None
    skip: tuple[str, ...] = ()
    levels: int = 0
    holds: str = ""
    mirrors: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """Every address, the official one first."""
        return (self.url, *self.mirrors)


def remote_files(data_set: str) -> list[RemoteFile]:
    """Return the files of ``kitti``, ``nyu`` or ``clip``.

    KITTI: raw drives of the Eigen split with their calibration (Geiger et al., IJRR 2013), and the annotated depth
    (Uhrig et al., 3DV 2017). NYU Depth V2: the labelled set and its official split (Silberman et al., ECCV 2012), and
    the synchronised training frames of Lee et al. (arXiv:1907.10326) or a copy of them. CLIP: OpenAI's ViT-B/16
    (Radford et al., ICML 2021).

    Raises:
        InputError: no such data set.
    """
    if data_set not in _FILES:
        raise InputError(f"can download {', '.join(_FILES)}, not {data_set!r}")
    return list(_FILES[data_set])


def _kitti() -> list[RemoteFile]:
    drives = sorted(TRAIN_DRIVES | TEST_DRIVES)
    files = []
    for date in sorted({drive[:10] for drive in drives}):
        files.append(RemoteFile(f"{_KITTI}/raw_data/{date}_calib.zip", f"{date}_calib.zip", unpack="."))
        # The grey cameras are half of a drive's pictures, and nothing here reads them.
        files += [
            RemoteFile(
                f"{_KITTI}/raw_data/{drive.removesuffix('_sync')}/{drive}.zip",
                f"{drive}.zip",
                unpack=".",
                skip=("/image_00/", "/image_01/"),
            )
            for drive in drives
            if drive.startswith(date)
        ]
    annotated = "data_depth_annotated"
    return [*files, RemoteFile(f"{_KITTI}/{annotated}.zip", f"{annotated}.zip", unpack=annotated)]


_FILES = {
    "kitti": tuple(_kitti()),
    "nyu": (
        RemoteFile(f"{_NYU}/indoor_seg_sup/splits.mat", "splits.mat"),
        RemoteFile(f"{_NYU}/nyu_depth_v2/nyu_depth_v2_labeled.mat", "nyu_depth_v2_labeled.mat"),
        RemoteFile(
            f"{_DRIVE}1AysroWpfISmm-yRFGBgFTrLy6FjQwvwP",
            "sync.zip",
            unpack="sync",
            skip=("/__MACOSX/", ".txt"),
            levels=1,
            holds="nyu_train",
            mirrors=(f"{_DRIVE}1xI9ksHzCC_kUz6Z4FL_b1ttgj3RVHGwW",),
        ),
    ),
    "clip": (RemoteFile(f"{_CLIP}/{_CLIP_SHA256}/ViT-B-16.pt", "ViT-B-16.pt", _CLIP_SHA256),),
}

DATA_SETS = tuple(_FILES)
"""What can be downloaded."""
