import type { ReactNode } from 'react';
import { View, type ViewStyle } from 'react-native';
import type { Theme } from '../ui/theme.js';
import type { SurfaceProps } from '../ui/legend.js';

const BLUR = 'saturate(180%) blur(16px)';

/** What react-native-web passes on to CSS and React Native's types do not know. */
const css = (style: Record<string, string>): ViewStyle => style;

const glass = css({ backdropFilter: BLUR, WebkitBackdropFilter: BLUR });
/** The gradient's second colour is a shadow from below: behind an image nobody can compute a text's contrast. */
const gradient = ({ gradient: [from, to] }: Theme): ViewStyle =>
  css({ backgroundColor: from, boxShadow: `inset 0 -100px 80px -60px ${to}` });

/** The same look in CSS, so that a web app needs neither Expo package. */
export function CssSurface({ theme, style, contentStyle, testID, children }: SurfaceProps): ReactNode {
  return (
    <View style={[glass, style]} testID={testID}>
      <View style={[gradient(theme), contentStyle]}>{children}</View>
    </View>
  );
}
