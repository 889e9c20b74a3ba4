"""The known data sets as their publishers offer them: files, digests, and where they are served."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFile:
    """One file of a data set as its publisher offers it.

    Attributes:
        name: The published name; with or without its ``.gz`` the file is recognised in a folder.
        size: Bytes of the published file.
        md5: The published digest, of the file as it is downloaded.
        sha256: Digest of the unpacked content, the same however it was packed. Empty
            for an archive, whose reader checks what it holds.
        holds: Of an archive, the files in it that are read. A folder that has them all has it.
        inside: Of an archive, the folder in it that they lie in.
    """

    name: str
    size: int
    md5: str
    sha256: str
    holds: tuple[str, ...] = ()
    inside: str = ""

    def __post_init__(self) -> None:
        if bool(self.sha256) == bool(self.holds):
            raise ValueError(f"{self.name} needs a digest of its content, or to hold files.")


@dataclass(frozen=True)
class DataSet:
    """A data set that can be found by name and downloaded.

    Attributes:
        name: What it is called, also the name of its folder.
        title: What people call it.
        files: Its files; of an IDX set the training images, training labels, test images and test
            labels, in this order.
        mirrors: HTTPS addresses, each ending in a slash, that serve every file by its name.
    """

    name: str
    title: str
    files: tuple[DataFile, ...]
    mirrors: tuple[str, ...]


FASHION_MNIST = DataSet(
    name="fashion-mnist",
    title="Fashion-MNIST",
    files=(
        DataFile(
            name="train-images-idx3-ubyte.gz",
            size=26_421_880,
            md5="8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        DataFile(
            name="train-labels-idx1-ubyte.gz",
            size=29_515,
            md5="25c81989df183df01b3e8a0aad5dffbe",
            sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        DataFile(
            name="t10k-images-idx3-ubyte.gz",
            size=4_422_102,
            md5="bef4ecab320f06d8554ea6380940ec79",
            sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        DataFile(
            name="t10k-labels-idx1-ubyte.gz",
            size=5_148,
            md5="bb300cfdad3c16e7a12a480ee83cd310",
            sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
)

MNIST = DataSet(
    name="mnist",
    title="MNIST",
    files=(
        DataFile(
            name="train-images-idx3-ubyte.gz",
            size=9_912_422,
            md5="f68b3c2dcbeaaa9fbdd348bbdeb94873",
            sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        DataFile(
            name="train-labels-idx1-ubyte.gz",
            size=28_881,
            md5="d53e105ee54ea40749a09fcbcd1e9432",
            sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        DataFile(
            name="t10k-images-idx3-ubyte.gz",
            size=1_648_877,
            md5="9fb629c4189551a2d022fa330f9573f3",
            sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        DataFile(
            name="t10k-labels-idx1-ubyte.gz",
            size=4_542,
            md5="ec29112dd5afa0611ce80d1b7f02629c",
            sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
)

CIFAR_10 = DataSet(
    name="cifar-10",
    title="CIFAR-10",
    files=(
        DataFile(
            name="cifar-10-binary.tar.gz",
            size=170_052_171,
            md5="c32a1d4ab5d03f1284b67883e8d87530",
            sha256="",
            holds=(*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
            inside="cifar-10-batches-bin",
        ),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
)

DATA_SETS = {known.name: known for known in (FASHION_MNIST, MNIST, CIFAR_10)}
