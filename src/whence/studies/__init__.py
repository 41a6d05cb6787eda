"""Studies: one file, one published claim, one command, one table of ours beside theirs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from whence.table import Table


class Study(NamedTuple):
    """A line of the table of studies.

    Attributes:
        place: "module:function"; the function takes a ``StudyRequest`` and returns ``Findings``.
        claim: what the study tests, one sentence.
        source: who published it, and where.
        takes: what it can be asked: "data" (other images), "run" (a finished run), "seeds",
            "full" (the published size), "concepts" (folders of images), "device" (of the run, or of
            the networks).
    """

    place: str
    claim: str
    source: str
    takes: tuple[str, ...] = ()


STUDIES: Mapping[str, Study] = MappingProxyType(
    {
        "parameter_counts": Study(
            "whence.studies.parameter_counts:parameter_counts",
            "Our models have exactly the published numbers of parameters.",
            "La Rosa et al. 2021, arXiv:2106.01440, table 11",
        ),
        "bag_of_words": Study(
            "whence.studies.bag_of_words.study:bag_of_words",
            "Decisions over visual words divide over pixels, exactly with histogram intersection, "
            "and the pixels of polygons are what speaks for a polygon.",
            "Bach et al. 2015, doi:10.1371/journal.pone.0130140, section 3",
        ),
        "few_shot_rivals": Study(
            "whence.studies.few_shot_rivals.study:few_shot_rivals",
            "From few images Memory Wrap answers better than Matching and Prototypical Networks, "
            "and what it reads are better examples than those of twin systems and better "
            "counterfactuals than those of a search guided by prototypes.",
            "La Rosa, Capobianco and Nardi 2022, doi:10.1007/s10489-022-03886-6",
            ("data", "seeds", "full"),
        ),
        "text": Study(
            "whence.studies.text.study:text",
            "Integrated Gradients from word vectors of 0 give most to the words that carry the "
            "type of a question, such as 'how many' and 'who'.",
            "Sundararajan, Taly and Yan 2017, arXiv:1703.01365, section 6.3",
            ("data", "seeds", "full", "device"),
        ),
        "random_labels": Study(
            "whence.studies.random_labels.study:random_labels",
            "Networks fit random labels and random pixels without an error, in a small multiple of "
            "the time; test error grows with the share of random labels; kernels and a network of "
            "2n + d weights fit any labels.",
            "Zhang et al. 2017, arXiv:1611.03530, figure 1, table 1, theorem 1, section 5",
            ("data", "seeds", "full", "device"),
        ),
        "concepts": Study(
            "whence.studies.concepts.study:concepts",
            "A planted concept is found by its direction in a layer and a random one is not, "
            "probes err less with depth, layers settle bottom-up, a suppressed bias leaves the "
            "features, and what a network must not miss lies where it was planted.",
            "Kim et al. 2018, arXiv:1711.11279; Alain and Bengio 2016, arXiv:1610.01644; Raghu et "
            "al. 2017, arXiv:1706.05806; Fuchs et al. 2018, arXiv:1806.05502; Zintgraf et al. "
            "2017, arXiv:1702.04595",
            takes=("run", "data", "seeds", "full", "concepts", "device"),
        ),
        "memorisation": Study(
            "whence.studies.memorisation.study:memorisation",
            "The loss depends on few images of real data and on most of random data; critical "
            "samples grow in training and with noise; with random labels validation accuracy is "
            "highest before training accuracy is high.",
            "Arpit et al. 2017, arXiv:1706.05394, sections 3 to 5",
            ("data", "run", "seeds", "full", "device"),
        ),
        "surrogates": Study(
            "whence.studies.surrogates.study:surrogates",
            "Simpler stand-ins for a network keep what they promise: anchors their precision, more "
            "than as many regions of LIME; students follow its answers better when they learn "
            "these; exemplars on an autoencoder's manifold stay near real images.",
            "Ribeiro et al. 2016, arXiv:1602.04938; Ribeiro et al. 2018, "
            "doi:10.1609/aaai.v32i1.11491; Joshi et al. 2018, arXiv:1806.08867",
            ("data", "seeds", "full"),
        ),
        "concept_embedding": Study(
            "whence.studies.concept_embedding.study:concept_embedding",
            "A few features explain an answer as faithfully as a network trained for that alone, "
            "nearly as much apart as those of an autoencoder, and masks by them keep the answer "
            "better than one by Excitation Backprop.",
            "Qi, Khorram and Li 2018, arXiv:1709.05360",
            ("data", "seeds", "full"),
        ),
        "erasure": Study(
            "whence.studies.erasure.study:erasure",
            "Dropout spreads importance over dimensions, a dominant dimension that is removed is "
            "replaced by another at the same accuracy, and LSTMs give words of sentiment more "
            "importance than a plain RNN.",
            "Li, Monroe and Jurafsky 2017, arXiv:1612.08220",
            ("data", "run", "seeds", "full", "device"),
        ),
        "deep_belief": Study(
            "whence.studies.deep_belief.study:deep_belief",
            "What excites a unit of a deep belief net or of stacked denoising autoencoders most is "
            "the same from nine random starts, and the mean of samples with the unit kept on looks "
            "like it.",
            "Erhan et al. 2009, Visualizing higher-layer features of a deep network, sections 3, 5",
            ("data", "seeds", "full"),
        ),
        "deconvolutional": Study(
            "whence.studies.deconvolutional.study:deconvolutional",
            "Images as sums of learned filters: edges, then junctions; switches keep edges sharp "
            "where layers rebuild the image; codes take noise away; layers together recognise "
            "better than one.",
            "Zeiler et al. 2010, doi:10.1109/CVPR.2010.5539957; Zeiler et al. 2011, "
            "doi:10.1109/ICCV.2011.6126474",
            takes=("data", "seeds", "full"),
        ),
        "prototypes": Study(
            "whence.studies.prototypes.study:prototypes",
            "A network that answers by prototypical parts of training images is at most 3.5 points "
            "less accurate than the plain one.",
            "Chen et al. 2019, arXiv:1806.10574",
            ("data", "seeds", "full"),
        ),
        "path_on_activations": Study(
            "whence.studies.path_on_activations.study:path_on_activations",
            "A path mask on the activations of a layer keeps as much of the gain as one on pixels, "
            "with fewer features, and fewer still behind a concept embedding; morphs of a "
            "conditional GAN are nearer to real images than an autoencoder's, and as valid.",
            "Path-mask attribution, the thesis that morphing comes from, section 6.2",
            ("data", "seeds", "full"),
        ),
    }
)
"""Every study by name. Listing them, with their claims, imports none of them."""

FUNCTIONS = Table("study", {name: study.place for name, study in STUDIES.items()})
"""The functions of ``STUDIES``, each imported when it is looked up."""

__all__ = ["FUNCTIONS", "STUDIES", "Study"]
